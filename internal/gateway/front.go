package gateway

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"reflect"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/listener"
)

// hardHeaderFactor says how many times limits.header_bytes net/http may read
// before it gives up by itself. Up to there the refusal is ours: in the
// caller's protocol and with a record of its own.
const hardHeaderFactor = 4

// front serves the connections of one socket. Generations share it while all
// that its connections depend on stays as it is; what is decided for each
// request comes from the generation.
type front struct {
	name    string
	made    connection
	socket  *socket
	taker   *listener.Taker
	over    *listener.Secured // nil: plain
	secured *secured          // nil: plain
	files   *reloader         // of certificates; nil: plain
	serving net.Listener
	http    *http.Server
	stops   []func() // of its jobs
}

// connection is what connections of a listener depend on.
type connection struct {
	tls         *config.TLS
	clients     *config.ClientCertificate
	headerBytes int
}

func connectionOf(l config.Listener, limits config.Limits) connection {
	return connection{l.TLS, l.ClientCertificate, limits.HeaderBytes}
}

// fronts are those of all listeners, with the handlers behind them.
func (g *Gateway) fronts(n, before *generation) error {
	for _, l := range n.cfg.Listeners {
		f, err := g.front(l, n, before)
		if err != nil {
			return err
		}
		n.fronts = append(n.fronts, f)
		says, err := n.authenticator(l, f.secured)
		if err != nil {
			return fmt.Errorf("preparing listener %s: %w", l.Name, err)
		}
		n.handlers[l.Name] = n.proxy.Listener(l.Name, says)
	}
	return g.adminFront(n, before)
}

// front is the one of l: that of before if nothing about its connections changed.
func (g *Gateway) front(l config.Listener, n, before *generation) (*front, error) {
	made := connectionOf(l, n.cfg.Limits)
	old := before.front(l.Name)
	if old != nil && reflect.DeepEqual(old.made, made) && before.socketFor(l) == old.socket {
		return old, n.setMode(old.socket, l.Mode)
	}
	f := &front{name: l.Name, made: made}
	if l.TLS != nil {
		var err error
		if f.secured, err = g.secure(l); err != nil {
			return nil, fmt.Errorf("preparing listener %s: %w", l.Name, err)
		}
		f.files = newReloader(l, f.secured.reload)
		f.secured.bound(n.cfg)
	}
	var err error
	if f.socket, err = g.socketOf(l, n, before); err != nil {
		return nil, err
	}
	f.taker = f.socket.NewTaker()
	f.serving = f.taker
	if f.secured != nil {
		f.over = f.secured.over(g, l.Name, f.taker)
		f.serving = f.over
	}
	g.serveRequests(f)
	return f, nil
}

// serveRequests readies the server of f.
func (g *Gateway) serveRequests(f *front) {
	observed := listener.Observe(f.serving, func(c listener.ConnInfo, status int) {
		g.current.Load().proxy.Malformed(f.name, c.Peer, status)
	})
	f.serving = observed
	s := newServer(g, observed.Handler(g.handler(f.name)))
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return authn.ConnContext(observed.ConnContext(ctx, c), c)
	}
	s.MaxHeaderBytes = hardHeaderFactor * f.made.headerBytes
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(f.secured != nil)
	s.Protocols.SetUnencryptedHTTP2(f.secured == nil) // prior knowledge: zitadel-go without TLS
	if f.secured != nil {
		s.ConnState = f.secured.connState
	}
	f.http = s
}

// handler serves each request with the generation that is current when it begins.
func (g *Gateway) handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := g.enter()
		if n == nil { // all has ended, and this connection is about to be cut
			panic(http.ErrAbortHandler)
		}
		defer n.leave()
		h := n.handlers[name]
		if h == nil { // a connection of a listener that was removed
			h = n.proxy.Gone(name)
		}
		h.ServeHTTP(w, r)
	})
}

// enter is the current generation, counted until its leave; nil after the last one.
func (g *Gateway) enter() *generation {
	for {
		n := g.current.Load()
		if n.enter() {
			return n
		}
		if g.current.Load() == n {
			return nil
		}
	}
}

// front is the one of the listener called name, or nil.
func (n *generation) front(name string) *front {
	if n == nil {
		return nil
	}
	for _, f := range n.fronts {
		if f.name == name {
			return f
		}
	}
	return nil
}

// crowded tells of a connection that was one too many. There is no request to
// record yet; a line for each would be a way to fill the log.
func (g *Gateway) crowded(name string, from net.Addr) {
	g.metrics.Crowded(name)
	if g.quiet.begin(g.options.now()) {
		g.log.Warn().Str("listener", name).Stringer("peer", from).Msg("connection closed: the limits of open connections are reached; see limits.connections and zproxy_connections_refused_total")
	}
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
func (n *generation) authenticator(l config.Listener, s *secured) (authn.Authenticator, error) {
	if s != nil && s.verifier != nil {
		return s.verifier, nil
	}
	if len(l.BearerJWT) > 0 {
		return n.bearers(l)
	}
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

// obtain runs what the TLS of the listener needs.
func (f *front) obtain(j *jobs) {
	if f.secured == nil {
		return
	}
	for _, job := range f.secured.jobs() {
		f.stops = append(f.stops, j.start(job))
	}
}

// rest ends it.
func (f *front) rest() {
	for _, stop := range f.stops {
		stop()
	}
}

// start serves, and takes the connections of the socket from now on.
func (f *front) start(g *Gateway) {
	g.jobs.start(func(context.Context) error {
		if err := f.http.Serve(f.serving); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving listener %s: %w", f.name, err)
		}
		return nil
	})
	f.socket.Give(f.taker)
	f.socket.run(g)
	g.log.Info().Str("listener", f.name).Stringer("address", f.socket.Addr()).Msg("listening")
}

// abandon closes a front that never served, and its socket if before has not got it.
func (f *front) abandon(before *generation) error {
	f.rest()
	_ = f.serving.Close()
	if before != nil && before.hasSocket(f.socket) {
		return nil
	}
	return f.socket.Close()
}
