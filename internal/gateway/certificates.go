package gateway

import (
	"strings"
	"sync"

	"github.com/zproxy/zproxy/internal/config"
)

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
	r.files = []string{l.TLS.CertificateFile, l.TLS.KeyFile}
	if c := l.ClientCertificate; c != nil {
		r.files = append(r.files, c.CAFile, c.CRLFile)
	}
	r.seen = r.look()
	return r
}

// look is how the files look.
func (r *reloader) look() string {
	var all strings.Builder
	for _, f := range r.files {
		if f != "" {
			all.WriteString(f + ": " + appearance(f) + "\n")
		}
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
