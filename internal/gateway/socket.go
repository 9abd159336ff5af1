package gateway

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/listener"
)

// socket is an open socket. It outlives what serves it: a listener whose address
// stays keeps its socket, whatever else of it changes.
type socket struct {
	*listener.Socket
	bounds           *listener.Bounded
	listener         atomic.Pointer[string] // the name of whose it is
	network, address string                 // as configured; of one that was passed on they do not count
	mode             fs.FileMode
	passed           bool
	running          bool
}

// socketOf is the socket of l: the one that before has, one that was passed on,
// or a new one.
func (g *Gateway) socketOf(l config.Listener, n, before *generation) (*socket, error) {
	if s := before.socketFor(l); s != nil && !n.hasSocket(s) {
		return s, n.setMode(s, l.Mode)
	}
	s := &socket{network: l.Network, address: l.Address, mode: l.Mode}
	s.listener.Store(&l.Name)
	open, err := g.open(l, s)
	if err != nil {
		return nil, err
	}
	s.bounds = listener.Bound(open, boundsOf(n.cfg), func(from net.Addr) { g.crowded(*s.listener.Load(), from) })
	s.Socket = listener.NewSocket(s.bounds)
	return s, nil
}

// open is a socket that was passed on for l, or a new one.
func (g *Gateway) open(l config.Listener, s *socket) (net.Listener, error) {
	if g.options.Socket != nil {
		if passed, ok := g.options.Socket(l.Name); ok {
			s.passed = true
			g.log.Info().Str("listener", l.Name).Stringer("address", passed.Addr()).Msg("socket taken from systemd; the listener's address and mode do not count")
			return passed, nil
		}
	}
	return listener.Open(listener.Spec{Name: l.Name, Network: l.Network, Address: l.Address, Mode: l.Mode})
}

func boundsOf(cfg *config.Config) listener.Bounds {
	return listener.Bounds{Total: cfg.Limits.Connections, PerAddress: cfg.Limits.PerAddress, Stall: cfg.Limits.Stall}
}

// socketFor is the open socket that l would open, or nil. Two listeners with
// port 0 have two ports.
func (n *generation) socketFor(l config.Listener) *socket {
	if n == nil {
		return nil
	}
	for _, f := range n.all() {
		s := f.socket
		same := s.network == l.Network && s.address == l.Address
		switch {
		case *s.listener.Load() == l.Name && (same || s.passed):
			return s
		case same && !s.passed && !strings.HasSuffix(s.address, ":0"):
			return s
		}
	}
	return nil
}

// setMode gives the file of a unix socket another mode.
func (n *generation) setMode(s *socket, mode fs.FileMode) error {
	if s.network != "unix" || s.passed || s.mode == mode {
		return nil
	}
	if err := os.Chmod(s.address, mode); err != nil {
		return fmt.Errorf("changing the mode of socket %s: %w", s.address, err)
	}
	was := s.mode
	s.mode = mode
	n.undo = append(n.undo, func() { s.mode = was; _ = os.Chmod(s.address, was) })
	return nil
}

// run accepts connections until the socket is closed.
func (s *socket) run(g *Gateway) {
	if s.running {
		return
	}
	s.running = true
	g.jobs.start(func(context.Context) error {
		err := s.Run(func(err error) {
			if g.quiet.begin(g.options.now()) {
				g.log.Error().Str("listener", *s.listener.Load()).Err(err).Msg("accepting connections failed; it is tried again")
			}
		})
		if err != nil {
			return fmt.Errorf("serving listener %s: %w", *s.listener.Load(), err)
		}
		return nil
	})
}
