// Package gateway assembles a running zproxy from a configuration: the command,
// the demo and the end-to-end tests run the same program through it.
package gateway

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/telemetry"
	"github.com/zproxy/zproxy/proxy"
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
	// Reread reads the configuration again, for a reload. If nil, a reload reads
	// again only the files that the configuration names.
	Reread func() (*config.Config, error)
	// File is where Reread reads, and is watched. If "", only files that the
	// configuration names are.
	File string
	// Permit says why a reload may not put cfg in the place of what serves, such
	// as files that the process can no longer open. If nil, any may.
	Permit func(cfg *config.Config) error
	// Serving is called once all listeners accept, Draining when they are about to
	// accept no more; Reloading before a reload and Reloaded after it, with why it was refused
	// or nil. If nil, nobody is told.
	Serving, Draining, Reloading func()
	Reloaded                     func(error)
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
// it serves once [Gateway.Run] is called. What it is configured to do is the
// current generation, and is replaced as a whole by a reload; sockets, records,
// metrics and connections live on.
type Gateway struct {
	options Options
	log     zerolog.Logger
	audit   *audit.Log
	metrics *telemetry.Metrics
	quiet   quiet
	looked  map[string]string // how the files that are watched looked before they were read
	current atomic.Pointer[generation]

	jobs     *jobs          // nil until it runs
	leaving  sync.WaitGroup // fronts that a reload replaced, while they drain
	retiring sync.WaitGroup // generations that have requests left

	reloading sync.Mutex // held for a reload: one at a time, and none once it drains
	serving   context.Context
	state     state
	draining  atomic.Bool
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
	g := &Gateway{options: options, log: options.Log, metrics: telemetry.New(options.Version), looked: looks(options.File, cfg.Upstream.CAFile)}
	n, err := g.build(cfg, nil)
	if err != nil {
		if g.audit != nil {
			_ = g.audit.Close()
		}
		return nil, err
	}
	g.current.Store(n)
	g.metrics.Configure(names(cfg, n.loaded))
	g.metrics.Show(g.shown)
	return g, nil
}

// Run fetches tokens and serves until ctx ends, then drains: it says that it is
// not ready and goes on for limits.drain_delay, stops accepting, lets requests in
// flight end within limits.drain, and closes the audit log. It returns nil after a clean end, and the first error otherwise.
func (g *Gateway) Run(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // first of all: who does not listen is ended by it
	defer signal.Stop(hangup)
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	g.begin(serving)
	g.jobs.start(func(ctx context.Context) error { return g.watch(ctx, hangup) })
	g.jobs.start(g.review)
	if g.options.Serving != nil {
		g.options.Serving()
	}
	select {
	case <-ctx.Done():
	case <-g.jobs.failed:
	}
	stopServing()      // a reload under way is given up
	g.reloading.Lock() // and there is none any more
	g.serving = nil
	g.reloading.Unlock()
	return g.finish()
}

// begin starts to fetch tokens, and then to serve.
func (g *Gateway) begin(serving context.Context) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	g.serving = serving
	g.jobs = newJobs(context.WithoutCancel(serving))
	n := g.current.Load()
	n.start(g.jobs, nil)
	n.firstTokens(serving, firstMoment)
	for _, f := range n.all() {
		f.start(g)
	}
}

// finish drains and closes what New opened.
func (g *Gateway) finish() error {
	n := g.current.Load()
	g.draining.Store(true)
	if g.options.Draining != nil {
		g.options.Draining()
	}
	g.noticed(n)
	err := g.drain()
	if n.admin != nil { // the last to go: it tells how far it is
		err = errors.Join(err, n.admin.end(context.Background()))
	}
	err = errors.Join(err, g.jobs.end())
	g.retiring.Wait()
	return errors.Join(err, g.audit.Close())
}

// noticed gives load balancers the time to notice that zproxy is not ready: they
// still get their answers meanwhile.
func (g *Gateway) noticed(n *generation) {
	delay := n.cfg.Limits.DrainDelay
	if delay == 0 {
		return
	}
	g.log.Info().Stringer("for", delay).Msg("not ready any more: connections are still accepted, for load balancers to notice")
	select {
	case <-time.After(delay):
	case <-g.jobs.failed:
	}
}

// firstMoment is how long the first tokens may take before requests are served.
const firstMoment = 500 * time.Millisecond

// Address is where the named listener accepts connections; "admin" is the
// admin listener. It is nil when there is none of that name.
func (g *Gateway) Address(listener string) net.Addr {
	for _, f := range g.current.Load().all() {
		if f.name == listener {
			return f.socket.Addr()
		}
	}
	return nil
}
