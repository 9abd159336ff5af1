// Package sandbox stands in for ZITADEL in the demo and the tests: a real
// OpenID provider, real REST, gRPC, gRPC-web and Connect, a handful of
// operations kept in memory, and the behaviours of ZITADEL by which a request
// that slips past a proxy shows. It is never linked into cmd/zproxy.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Options change what [Start] starts. The zero Options are a good sandbox.
type Options struct {
	// Address is where it listens. If empty, a free port of 127.0.0.1.
	Address string
	// Domains are further host names of the instance; localhost and 127.0.0.1 are built in.
	Domains []string
	// TokenLifetime is how long access tokens last. If 0, 12 hours, as in ZITADEL.
	TokenLifetime time.Duration
}

// Sandbox is a running stand-in. Its methods may be called at any time by any
// number of goroutines.
type Sandbox struct {
	issuer   *url.URL
	domains  map[string]bool
	lifetime time.Duration
	provider *op.Provider
	server   *http.Server
	cutOff   context.CancelFunc // ends the waits of requests in flight
	ended    chan error

	mu                     sync.Mutex
	state                  state
	faults                 faults
	requests               []Request
	methods                []string // besides those that are served
	failSelf, failSessions bool
	maxRows                int // of a page, beneath what is asked for; 0: no less
}

// Start listens and serves until [Sandbox.Close].
func Start(o Options) (*Sandbox, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	socket, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("starting sandbox: %w", err)
	}
	s := &Sandbox{
		issuer:   &url.URL{Scheme: "http", Host: socket.Addr().String()},
		domains:  map[string]bool{"localhost": true, "127.0.0.1": true},
		lifetime: o.TokenLifetime, ended: make(chan error, 1), state: newState(),
	}
	if s.lifetime == 0 {
		s.lifetime = 12 * time.Hour
	}
	for _, d := range o.Domains {
		s.domains[d] = true
	}
	handler, err := s.handler()
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("starting sandbox: %w", err)
	}
	s.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	all, cutOff := context.WithCancel(context.Background())
	s.server.BaseContext, s.cutOff = func(net.Listener) context.Context { return all }, cutOff
	s.server.Protocols.SetHTTP1(true)
	s.server.Protocols.SetUnencryptedHTTP2(true)
	go func() { s.ended <- s.server.Serve(socket) }()
	return s, nil
}

// Issuer is the instance's origin.
func (s *Sandbox) Issuer() *url.URL { u := *s.issuer; return &u }

// Close ends the sandbox; requests in flight are cut off.
func (s *Sandbox) Close() error {
	s.cutOff() // a server does not notice who goes away before the body was read
	err := s.server.Close()
	if e := <-s.ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// handler is the whole of ZITADEL's one port: the path decides, then the
// content type.
func (s *Sandbox) handler() (http.Handler, error) {
	provider, err := s.newProvider()
	if err != nil {
		return nil, err
	}
	rpcs := make(map[string]http.Handler)
	rest, err := s.register(rpcs)
	if err != nil {
		return nil, err
	}
	return s.record(s.traps(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch h := rpcs[r.URL.Path]; {
		case provider.serves(r.URL.Path):
			provider.ServeHTTP(w, r)
		case h != nil:
			h.ServeHTTP(w, r)
		case isProbe(r.URL.Path):
			w.WriteHeader(http.StatusOK)
		default:
			rest.ServeHTTP(w, r)
		}
	}))), nil
}

func isProbe(path string) bool {
	switch path {
	case "/debug/healthz", "/debug/ready", "/healthz", "/debug/metrics":
		return true
	}
	return false
}

// faults are what a test asks the sandbox to do wrong.
type faults struct {
	tokenStatus   int           // token endpoint answers with it; 0: it works
	tokenDelay    time.Duration // before each answer of the token endpoint
	tokenRequests int
	apiStatus     int
	apiTimes      int // how many API answers still have apiStatus
	apiDelay      time.Duration
}

// FailTokens makes the token endpoint answer with status until it is called
// with 0, each answer after a delay.
func (s *Sandbox) FailTokens(status int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.tokenStatus, s.faults.tokenDelay = status, delay
}

// TokenRequests is how often the token endpoint was asked.
func (s *Sandbox) TokenRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.tokenRequests
}

// FailAPI makes the next times API answers have status; each answer comes after delay.
func (s *Sandbox) FailAPI(status, times int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.apiStatus, s.faults.apiTimes, s.faults.apiDelay = status, times, delay
}

// wait sleeps, unless the caller goes away.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
