// Package gateway assembles a running zproxy from a configuration: the command,
// the demo and the end-to-end tests run the same program through it.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/ownuser"
	"github.com/zproxy/zproxy/internal/telemetry"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/proxy"
	"github.com/zproxy/zproxy/proxy/limit"
)

// Options are what a configuration file does not say.
type Options struct {
	// Log is the operator's log. The zero Logger says nothing.
	Log zerolog.Logger
	// Clock and NewID are handed to the proxy and the audit log; see [proxy.Config].
	Clock func() time.Time
	NewID func() string
	// Socket is a socket that is open already for the listener of this name, if
	// there is one. If nil, all are opened.
	Socket func(listener string) (net.Listener, bool)
	// Serving is called once all listeners accept, Draining once they no longer do.
	// If nil, nobody is told.
	Serving, Draining func()
	// Trace follows requests; see [proxy.Config].
	Trace proxy.Tracer
	// Version is the program's, for the metrics.
	Version string
}

// now is the time by Clock.
func (o Options) now() time.Time {
	if o.Clock == nil {
		return time.Now()
	}
	return o.Clock()
}

// Gateway is one running zproxy: its sockets are open, its files are read, and
// it serves once [Gateway.Run] is called.
type Gateway struct {
	cfg       *config.Config
	log       zerolog.Logger
	catalogue *operation.Catalogue
	policy    *policy.Policy
	sources   map[string]*serviceuser.Source
	own       *ownuser.Users
	upstream  *proxy.Upstream
	audit     *audit.Log
	proxy     *proxy.Proxy
	metrics   *telemetry.Metrics
	servers   []*server
	secured   []*secured // of listeners with TLS
	reloaders []*reloader
	admin     *server // nil: off
	options   Options
	quiet     quiet
}

// quiet lets one line a minute through.
type quiet struct {
	mu   sync.Mutex
	last time.Time
}

func (q *quiet) begin(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.last) < time.Minute {
		return false
	}
	q.last = now
	return true
}

// New reads every file that cfg names and opens every socket. An error says
// which part of the configuration is at fault; nothing stays open then.
func New(cfg *config.Config, options Options) (*Gateway, error) {
	g := &Gateway{cfg: cfg, log: options.Log, metrics: telemetry.New(options.Version), options: options}
	if err := g.assemble(options); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *Gateway) assemble(options Options) error {
	var err error
	if g.catalogue, g.policy, err = Rules(g.cfg, options.now()); err != nil {
		return err
	}
	for _, w := range g.policy.Warnings() {
		g.log.Warn().Str("rule", w.Rule).Msg(w.Message)
	}
	trust, err := upstreamTLS(g.cfg.Upstream)
	if err != nil {
		return err
	}
	if g.upstream, err = newUpstream(g.cfg, trust); err != nil {
		return err
	}
	if g.sources, err = newSources(g.cfg, trust, g.noteEvent); err != nil {
		return err
	}
	g.own = ownUsers(g.cfg, g.sources, trust, g.log)
	if g.audit, err = audit.Open(audit.Options{File: g.cfg.Audit.File, Clock: options.Clock}); err != nil {
		return fmt.Errorf("opening audit log (audit.file): %w", err)
	}
	if err := g.makeProxy(options); err != nil {
		return err
	}
	for _, l := range g.cfg.Listeners {
		s, err := g.listen(l)
		if err != nil {
			return err
		}
		g.servers = append(g.servers, s)
	}
	g.metrics.Configure(names(g.cfg, options.now()))
	g.metrics.Show(g.state)
	return g.listenAdmin()
}

func (g *Gateway) makeProxy(options Options) error {
	users := make(map[string]proxy.ServiceUser, len(g.sources))
	for name, s := range g.sources {
		users[name] = s
	}
	ruleLimits := make(map[string]limit.Limit)
	for _, r := range g.cfg.Rules {
		if r.Limit != nil {
			ruleLimits[r.Name] = limit.Limit(*r.Limit)
		}
	}
	var err error
	g.proxy, err = proxy.New(proxy.Config{
		Catalogue: g.catalogue, Policy: g.policy, ServiceUsers: users, OwnUsers: g.own.Known, Upstream: g.upstream, Audit: g.metrics.Count(g.audit),
		ForwardHeaders: proxy.NewHeaderPatterns(g.cfg.Upstream.ForwardHeaders),
		HeaderBytes:    g.cfg.Limits.HeaderBytes, BodyBytes: g.cfg.Limits.BodyBytes, InspectBytes: g.cfg.Limits.InspectBody, InspectTotal: g.cfg.Limits.InspectAll,
		UpstreamLimit: (*limit.Limit)(g.cfg.Upstream.Limit), RuleLimits: ruleLimits, Hints: g.cfg.Hints,
		Log: g.log, Observe: g.metrics.Observe, Trace: options.Trace, Clock: options.Clock, NewID: options.NewID,
	})
	return err
}

// Run fetches tokens and serves until ctx ends, then drains: it stops
// accepting, lets requests in flight end within limits.drain, and closes the
// audit log. It returns nil after a clean end, and the first error otherwise.
func (g *Gateway) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, len(g.servers)+3+len(g.sources)+3*len(g.secured))
	running := 0
	start := func(f func() error) {
		running++
		go func() { failed <- f() }()
	}
	for _, s := range g.sources {
		start(func() error { return s.Run(background) })
	}
	start(func() error { return g.own.Run(background) })
	start(func() error { return g.watchFiles(background) })
	for _, s := range g.secured {
		for _, job := range s.jobs() {
			start(func() error { return job(background) })
		}
	}
	g.firstTokens(ctx)
	for _, s := range g.all() {
		start(s.serve)
		g.log.Info().Str("listener", s.name).Stringer("address", s.socket.Addr()).Msg("listening")
	}
	if g.options.Serving != nil {
		g.options.Serving()
	}
	var err error
	select {
	case <-ctx.Done():
		g.log.Info().Stringer("within", g.cfg.Limits.Drain).Msg("draining: no new connections, requests in flight may end")
	case err = <-failed:
		running--
	}
	if g.options.Draining != nil {
		g.options.Draining()
	}
	err = errors.Join(err, g.drain())
	stop()
	for range running {
		err = errors.Join(err, <-failed)
	}
	return errors.Join(err, g.close())
}

// firstTokens gives the first fetch of every service user a moment, so that
// those who call at once are served; a failed or slow one holds nothing up.
func (g *Gateway) firstTokens(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for _, s := range g.sources {
		all.Go(func() { _, _ = s.Next(ctx, nil) }) // the source tells of its failures itself
	}
	for _, s := range g.secured {
		all.Go(func() { s.first(ctx) })
	}
	all.Wait()
}

// drain ends the servers; what does not end in time is cut off.
func (g *Gateway) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Limits.Drain)
	defer cancel()
	var errs []error
	done := make(chan error)
	for _, s := range g.all() {
		go func() { done <- s.shutdown(ctx) }()
	}
	for range g.all() {
		errs = append(errs, <-done)
	}
	// What was cut off has yet to write its outcome record.
	last, cancelLast := context.WithTimeout(context.Background(), lastRecords)
	defer cancelLast()
	return errors.Join(append(errs, g.proxy.Wait(last))...)
}

// lastRecords bounds how long cut-off requests have for their outcome records.
const lastRecords = 5 * time.Second

func (g *Gateway) all() []*server {
	if g.admin == nil {
		return g.servers
	}
	return append(append([]*server(nil), g.servers...), g.admin)
}

// close releases what New opened; it may be called on a half-made Gateway.
func (g *Gateway) close() error {
	var errs []error
	for _, s := range g.all() {
		if err := s.socket.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if g.upstream != nil {
		g.upstream.Close()
	}
	if g.audit != nil {
		errs = append(errs, g.audit.Close())
	}
	return errors.Join(errs...)
}

// Address is where the named listener accepts connections; "admin" is the
// admin listener. It is nil when there is none of that name.
func (g *Gateway) Address(listener string) net.Addr {
	for _, s := range g.all() {
		if s.name == listener {
			return s.socket.Addr()
		}
	}
	return nil
}

// server is one open socket and what answers on it.
type server struct {
	name   string
	socket net.Listener
	http   *http.Server
}

func (s *server) serve() error {
	if err := s.http.Serve(s.socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving listener %s: %w", s.name, err)
	}
	return nil
}

func (s *server) shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	_ = s.http.Close()
	return fmt.Errorf("draining listener %s: requests in flight were cut off: %w", s.name, err)
}
