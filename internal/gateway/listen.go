package gateway

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/listener"
)

// hardHeaderFactor says how many times limits.header_bytes net/http may read
// before it gives up by itself. Up to there the refusal is ours: in the
// caller's protocol and with a record of its own.
const hardHeaderFactor = 4

// listen opens the socket of one listener and readies its server.
func (g *Gateway) listen(l config.Listener) (*server, error) {
	says, tls, err := g.callers(l)
	if err != nil {
		return nil, fmt.Errorf("preparing listener %s: %w", l.Name, err)
	}
	socket, err := g.socket(l)
	if err != nil {
		return nil, err
	}
	bounds := listener.Bounds{Total: g.cfg.Limits.Connections, PerAddress: g.cfg.Limits.PerAddress}
	socket = listener.Bound(socket, bounds, func(from net.Addr) { g.crowded(l.Name, from) })
	if tls != nil {
		socket = tls.over(g, l.Name, socket)
	}
	handler := g.proxy.Listener(l.Name, says)
	observed := listener.Observe(socket, func(c listener.ConnInfo, status int) {
		g.proxy.Malformed(l.Name, c.Peer, status)
	})
	s := newServer(g, observed.Handler(handler))
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return authn.ConnContext(observed.ConnContext(ctx, c), c)
	}
	s.MaxHeaderBytes = hardHeaderFactor * g.cfg.Limits.HeaderBytes
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(tls != nil)
	s.Protocols.SetUnencryptedHTTP2(tls == nil) // prior knowledge: zitadel-go without TLS
	if tls != nil {
		s.ConnState = tls.connState
	}
	return &server{name: l.Name, socket: observed, http: s}, nil
}

// socket is the one that was passed on for l, or a new one.
func (g *Gateway) socket(l config.Listener) (net.Listener, error) {
	if g.options.Socket != nil {
		if s, ok := g.options.Socket(l.Name); ok {
			g.log.Info().Str("listener", l.Name).Stringer("address", s.Addr()).Msg("socket taken from systemd; the listener's address and mode do not count")
			return s, nil
		}
	}
	return listener.Open(listener.Spec{Name: l.Name, Network: l.Network, Address: l.Address, Mode: l.Mode})
}

// crowded tells of a connection that was one too many. There is no request to
// record yet; a line for each would be a way to fill the log.
func (g *Gateway) crowded(name string, from net.Addr) {
	g.metrics.Crowded(name)
	if g.quiet.begin(g.options.now()) {
		g.log.Warn().Str("listener", name).Stringer("peer", from).Msg("connection closed: the limits of open connections are reached; see limits.connections and zproxy_connections_refused_total")
	}
}

// callers are who is on the connections of l, and the TLS that it has, if it has any.
func (g *Gateway) callers(l config.Listener) (authn.Authenticator, *secured, error) {
	if l.TLS == nil {
		says, err := authenticator(l)
		return says, nil, err
	}
	s, err := g.secure(l)
	if err != nil {
		return nil, nil, err
	}
	g.secured = append(g.secured, s)
	g.reloaders = append(g.reloaders, newReloader(l, s.reload))
	if s.verifier != nil {
		return s.verifier, s, nil
	}
	says, err := authenticator(l)
	return says, s, err
}

// newServer is an http.Server with the timeouts that every one of ours has.
func newServer(g *Gateway, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(g.log.With().Str("from", "net/http").Logger(), "", 0),
		// "OPTIONS *" is to leave a record like everything else.
		DisableGeneralOptionsHandler: true,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: 250},
	}
}

// authenticator says who is on a connection of l.
func authenticator(l config.Listener) (authn.Authenticator, error) {
	if l.Anonymous != "" {
		return authn.NewAnonymous(authn.AnonymousConfig{
			Name: l.Anonymous, AllowFrom: l.AllowFrom, Hosts: l.Hosts, Network: l.Network, ListenAddress: l.Address,
		})
	}
	callers := make([]authn.UnixCaller, len(l.Unix))
	for i, c := range l.Unix {
		callers[i] = authn.UnixCaller(c)
	}
	return authn.NewUnix(callers)
}
