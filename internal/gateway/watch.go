package gateway

import (
	"context"
	"os"
	"time"
)

// lookEvery is how often it is looked whether files were changed. Looking works
// wherever files are: on network file systems, and through the links of a
// ConfigMap, which are swapped as a whole.
const lookEvery = time.Second

// watch reloads on SIGHUP and when files change, until ctx ends.
func (g *Gateway) watch(ctx context.Context, hangup <-chan os.Signal) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	w := watcher{gateway: g, read: g.looked, last: g.looked}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			w.reload()
		case <-ticker.C:
			for _, f := range g.current.Load().fronts {
				if f.files != nil {
					f.files.reload(g, false)
				}
			}
			if own := g.current.Load().trust.own; own != nil {
				own.look(g)
			}
			w.step()
		}
	}
}

// watcher knows how files looked.
type watcher struct {
	gateway *Gateway
	read    map[string]string // before they were read
	last    map[string]string // at the last look
}

// step reloads if files look otherwise than when they were read. What still
// changes may be half written: it has to look the same twice.
func (w *watcher) step() {
	now := w.gateway.look()
	settled := !differ(now, w.last)
	w.last = now
	if settled && differ(now, w.read) {
		w.reload()
	}
}

// differ tells whether a file that is in both looks otherwise.
func differ(now, before map[string]string) bool {
	for file, looks := range now {
		if was, ok := before[file]; ok && was != looks {
			return true
		}
	}
	return false
}

func (w *watcher) reload() {
	before := w.gateway.look()
	_ = w.gateway.Reload() // which tells of it
	w.read = w.gateway.look()
	for file := range w.read {
		if looked, ok := before[file]; ok { // and may have been changed since it was read
			w.read[file] = looked
		}
	}
	w.last = w.read
}

// look is how the files look whose change is a reason to reload: the
// configuration's own, and those of its files that nothing else looks at. After
// a reload that was refused any of its files may be what was wrong.
func (g *Gateway) look() map[string]string {
	return looks(append(g.state.faulty(), g.options.File, g.current.Load().cfg.Upstream.CAFile)...)
}

func looks(files ...string) map[string]string {
	all := make(map[string]string)
	for _, f := range files {
		if f != "" {
			all[f] = appearance(f)
		}
	}
	return all
}
