package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy"
)

// gatewayAhead is a gateway to the upstream at address whose clock goes ahead by
// so many nanoseconds: nobody waits for the silence before the circuit opens.
func gatewayAhead(t *testing.T, address string, change func(*proxy.UpstreamConfig)) (*gateway, *atomic.Int64) {
	t.Helper()
	var ahead atomic.Int64
	o := upstreamAt(t, address, change)
	plain := o.config
	o.config = func(c *proxy.Config) {
		plain(c)
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	g := newGatewayAt(t, address, o)
	ahead.Store(int64(time.Minute))
	return g, &ahead
}

// unavailable answers as what stands before a ZITADEL that is not there.
func unavailable(t *testing.T, n *atomic.Int64) string {
	t.Helper()
	return serveUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
}

// An upstream that dies opens the circuit; once it is back, requests pass
// within seconds, over HTTP/1.1 and HTTP/2.
func TestUpstreamThatDiesAndComesBack(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := socket.Addr().String()
	start := func(socket net.Listener) *http.Server {
		s := &http.Server{Protocols: cleartext(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			w.Header().Set("Grpc-Status", "0")
		})}
		go func() { _ = s.Serve(socket) }()
		return s
	}
	first := start(socket)
	var opened, closed atomic.Int64
	g := newGatewayAt(t, "http://"+address, upstreamAt(t, "http://"+address, func(c *proxy.UpstreamConfig) {
		c.CircuitChanged = func(open bool, why string) {
			if !open {
				closed.Add(1)
				return
			}
			opened.Add(1)
			if !strings.Contains(why, "failures in a row") {
				t.Errorf("why: %q", why)
			}
		}
	}))
	call := func() (reason string) {
		res, err := client(t, 1).Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		_, details, _ := strings.Cut(res.Header.Get("Proxy-Status"), `details="`)
		return strings.TrimSuffix(details, `"`)
	}
	if reason := call(); reason != "" {
		t.Fatalf("before: %s", reason)
	}
	_ = first.Close()
	within(t, func() bool { return call() == "upstream_circuit" })
	if opened.Load() != 1 {
		t.Errorf("opened %d times", opened.Load())
	}
	begin := time.Now()
	within(t, func() bool { call(); return time.Since(begin) > 500*time.Millisecond })
	again, err := net.Listen("tcp", address)
	check(t, err)
	second := start(again)
	t.Cleanup(func() { _ = second.Close() })
	back := time.Now()
	within(t, func() bool { return call() == "" })
	if d := time.Since(back); d > 15*time.Second { // 8 s, on a machine that has nothing else to do
		t.Errorf("back after %v", d)
	}
	if closed.Load() != 1 {
		t.Errorf("closed %d times", closed.Load())
	}
}

func TestAnOpenCircuitIsToldInEachProtocol(t *testing.T) {
	var n atomic.Int64
	g, ahead := gatewayAhead(t, unavailable(t, &n), func(*proxy.UpstreamConfig) {})
	for range 5 {
		res, err := client(t, 1).Post(g.url+"/v2/users/1/lock", "application/json", strings.NewReader("{}"))
		check(t, err)
		res.Body.Close()
	}
	ahead.Store(0) // no time for a probe, for a minute
	inEach(t, g, nil, "14", "upstream_circuit")
	if n.Load() != 5 {
		t.Errorf("%d requests arrived", n.Load())
	}
	for _, r := range outcomes(g.records(t, 18))[5:] {
		if r.Attempts != 0 || r.Effect != "allow" {
			t.Errorf("record %+v", r)
		}
	}
}

// Deadlines and calls that callers break off are theirs, ordinary errors are
// answers: however many come in a row, the circuit stays closed.
func TestWhatCallersBringAboutDoesNotOpenTheCircuit(t *testing.T) {
	for name, c := range map[string]struct {
		given  string
		answer int // 0: none
		leaves bool
	}{
		"ordinary errors":                     {answer: http.StatusInternalServerError},
		"errors when the time is nearly over": {given: "900m", answer: http.StatusGatewayTimeout},
		"deadlines":                           {given: "50m"},
		"callers that leave":                  {given: "9S", leaves: true},
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{}, 8)
			at := serveUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				arrived <- struct{}{}
				if c.answer == 0 {
					<-r.Context().Done()
					return
				}
				w.WriteHeader(c.answer)
			}))
			var opened atomic.Bool
			g, _ := gatewayAhead(t, at, func(uc *proxy.UpstreamConfig) { uc.CircuitChanged = func(bool, string) { opened.Store(true) } })
			for range 7 {
				ctx, cancel := context.WithCancel(t.Context())
				if c.leaves {
					go func() { <-arrived; cancel() }()
				}
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/v2/users/1", nil)
				check(t, err)
				if c.given != "" {
					r.Header.Set("Grpc-Timeout", c.given)
				}
				if res, err := client(t, 1).Do(r); err == nil {
					res.Body.Close()
				}
				cancel()
			}
			g.records(t, 7)
			if opened.Load() {
				t.Error("the circuit opened")
			}
		})
	}
}
