package gateway

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/zproxy/zproxy/internal/config"
)

// lookEvery is how often it is looked whether files of certificates were replaced.
const lookEvery = time.Second

// reloader reads the certificate files of one listener again when they change.
type reloader struct {
	listener string
	files    []string
	read     func() (bool, error)

	mu   sync.Mutex
	seen string // what the files looked like when they were last read
	err  error  // why they were not taken
}

func newReloader(l config.Listener, read func() (bool, error)) *reloader {
	r := &reloader{listener: l.Name, read: read}
	files := []string{l.TLS.CertificateFile, l.TLS.KeyFile}
	if c := l.ClientCertificate; c != nil {
		files = append(files, c.CAFile, c.CRLFile)
	}
	for _, f := range files {
		if f != "" {
			r.files = append(r.files, f)
		}
	}
	r.seen = r.look()
	return r
}

// look is what tells files from others of the same name.
func (r *reloader) look() string {
	var all strings.Builder
	for _, f := range r.files {
		info, err := os.Stat(f)
		if err != nil {
			fmt.Fprintf(&all, "%s: %v\n", f, err)
			continue
		}
		inode := uint64(0)
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = s.Ino
		}
		fmt.Fprintf(&all, "%s: %d %d %d\n", f, info.Size(), info.ModTime().UnixNano(), inode)
	}
	return all.String()
}

// reload reads the files if they look otherwise than before, or always if
// forced. A file that is half written is read again once it is whole, for it
// looks otherwise then.
func (r *reloader) reload(g *Gateway, forced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	look := r.look()
	if look == r.seen && !forced {
		return
	}
	r.seen = look
	changed, err := r.read()
	r.err = err
	switch {
	case err != nil:
		g.metrics.CertificatesReloaded(r.listener, err)
		g.log.Error().Str("listener", r.listener).Err(err).Msg("reloading certificates failed; those read before stay in use")
	case changed:
		g.metrics.CertificatesReloaded(r.listener, nil)
		g.log.Info().Str("listener", r.listener).Msg("certificates reloaded")
	}
}

// failure is why the last files were not taken, or nil.
func (r *reloader) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// watchFiles reloads on change and on SIGHUP until ctx ends.
func (g *Gateway) watchFiles(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		forced := false
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-hangup:
			forced = true
		}
		for _, r := range g.reloaders {
			r.reload(g, forced)
		}
	}
}
