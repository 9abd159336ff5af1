package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/zproxy/zproxy/internal/config"
)

// reloadMoment is how long the first tokens of a new generation may take before
// it serves; the one before serves meanwhile.
const reloadMoment = 2 * time.Second

// Reload reads the configuration again, and all files that it names, and serves
// by it; or serves on as before, and returns why. Nothing in between: whatever
// can fail is done before requests are served by any of it.
func (g *Gateway) Reload() error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if g.serving == nil {
		return errors.New("reloading configuration: the gateway is not serving")
	}
	if g.options.Reloading != nil {
		g.options.Reloading()
	}
	err := g.reload()
	g.state.note(err)
	g.metrics.ConfigurationReloaded(err)
	if err != nil {
		g.log.Error().Err(err).Msg("reloading configuration refused; the one before serves on")
	} else {
		g.log.Info().Msg("configuration reloaded")
	}
	if g.options.Reloaded != nil {
		g.options.Reloaded(err)
	}
	return err
}

func (g *Gateway) reload() error {
	before := g.current.Load()
	cfg := before.cfg
	if g.options.Reread != nil {
		var err error
		if cfg, err = g.options.Reread(); err != nil {
			return err
		}
	}
	g.state.tried(cfg)
	if g.options.Permit != nil {
		if err := g.options.Permit(cfg); err != nil {
			return err
		}
	}
	n, err := g.build(cfg, before)
	if err != nil {
		return err
	}
	n.start(g.jobs, before)
	n.ready(g.serving, reloadMoment, before)
	if g.serving.Err() != nil {
		n.abandon(before)
		return errors.New("reloading configuration: the gateway is ending")
	}
	g.replace(before, n)
	return nil
}

// replace puts n in the place of before. Nothing in here can fail.
func (g *Gateway) replace(before, n *generation) {
	if err := g.audit.Switch(n.next); err != nil {
		g.log.Warn().Err(err).Msg("the audit log goes on in its new file")
	}
	n.proxy.Begin()
	g.metrics.Configure(names(n.cfg, n.loaded))
	g.current.Store(n)
	for _, f := range n.all() {
		if !before.has(f) {
			f.start(g)
		}
		f.socket.listener.Store(&f.name)
		f.socket.bounds.SetBounds(boundsOf(n.cfg))
		f.secured.bound(n.cfg)
	}
	for _, f := range before.all() {
		if !n.has(f) {
			g.leave(f, n)
		}
	}
	for _, f := range n.fronts {
		if f.files != nil {
			f.files.reload(g, true)
		}
	}
	before.leave()
	g.retire(before)
}

// leave drains a front that serves no more, and closes its socket unless n has it.
func (g *Gateway) leave(f *front, n *generation) {
	g.leaving.Go(func() {
		ctx, cancel := context.WithTimeout(g.jobs.ctx, n.cfg.Limits.Drain)
		defer cancel()
		end := f.end
		if n.hasSocket(f.socket) {
			end = f.shutdown
		}
		g.log.Info().Str("listener", f.name).Msg("draining: it was changed or removed")
		if err := end(ctx); err != nil {
			g.log.Warn().Err(err).Msg("draining a listener that was changed or removed")
		}
	})
}

// configuration is what /readyz says of the configuration.
type configuration struct {
	Loaded time.Time `json:"loaded"`
	// Error is why the last reload was refused; "" if it was not.
	Error string `json:"error,omitempty"`
}

// state is how the last reload went.
type state struct {
	mu    sync.Mutex
	err   error
	files []string // of the configuration that was tried last
}

func (s *state) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *state) tried(cfg *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = FilesOf(cfg).Read
}

func (s *state) now(n *generation) configuration {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := configuration{Loaded: n.loaded}
	if s.err != nil {
		c.Error = fmt.Sprint(s.err)
	}
	return c
}

// faulty are the files that the last reload read, if it was refused.
func (s *state) faulty() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return s.files
}
