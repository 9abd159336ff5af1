package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/proxy"
)

// protocols are one request in each protocol, and how an answer of zproxy's own
// shows in it.
var protocols = map[string]struct {
	major             int
	path, contentType string
	body              []byte
}{
	"REST":    {1, "/v2/users/1/lock", "application/json", []byte("{}")},
	"Connect": {1, "/" + userLock, "application/json", []byte("{}")},
	"GRPC":    {2, "/" + userLock, "application/grpc", framed(0, []byte("\x0a\x01\x31"))},
	"GRPCWeb": {1, "/" + userLock, "application/grpc-web+proto", framed(0, []byte("\x0a\x01\x31"))},
}

// told is what an answer of zproxy's own says: a gRPC code and a text.
func told(t *testing.T, res *http.Response) (code, text string) {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	res.Body.Close()
	contentType := res.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(contentType, "application/grpc"):
		code, text = res.Header.Get("Grpc-Status"), res.Header.Get("Grpc-Message")
	default:
		code, text = map[int]string{503: "14", 502: "14", 504: "4"}[res.StatusCode], string(body)
	}
	return code, text
}

// inEach sends one request in each protocol to g and expects code and reason.
func inEach(t *testing.T, g *gateway, header http.Header, code, reason string) {
	t.Helper()
	for name, p := range protocols {
		r, err := http.NewRequest(http.MethodPost, g.url+p.path, bytes.NewReader(p.body))
		check(t, err)
		r.Header = header.Clone()
		if r.Header == nil {
			r.Header = make(http.Header)
		}
		r.Header.Set("Content-Type", p.contentType)
		res, err := client(t, p.major).Do(r)
		check(t, err)
		if got, text := told(t, res); got != code || !strings.Contains(text, reason) {
			t.Errorf("%s: code %q, want %q for %s: %s", name, got, code, reason, text)
		}
		if details := res.Header.Get("Proxy-Status"); !strings.Contains(details, reason) {
			t.Errorf("%s: Proxy-Status %q, want %s", name, details, reason)
		}
	}
}

// upstreamAt changes how the upstream at address is reached.
func upstreamAt(t *testing.T, address string, change func(*proxy.UpstreamConfig)) options {
	return options{config: func(c *proxy.Config) {
		u, err := url.Parse(address)
		check(t, err)
		uc := proxy.UpstreamConfig{Issuer: u}
		change(&uc)
		c.Upstream, err = proxy.NewUpstream(uc)
		check(t, err)
		t.Cleanup(c.Upstream.Close)
	}}
}

func serveUpstream(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = cleartext()
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// hanging never answers until the test ends.
func hanging(t *testing.T) http.Handler {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})
}

func TestAnUpstreamThatHangsIsGivenUp(t *testing.T) {
	at := serveUpstream(t, hanging(t))
	g := newGatewayAt(t, at, upstreamAt(t, at, func(c *proxy.UpstreamConfig) { c.Timeouts.ResponseHeader = 50 * time.Millisecond }))
	inEach(t, g, nil, "4", "upstream_timeout")
}

// Addresses of TEST-NET lead nowhere; where they are refused at once, that is
// a connection that cannot be made as well.
func TestAConnectionThatCannotBeMadeIsGivenUp(t *testing.T) {
	g := newGatewayAt(t, "http://192.0.2.1:9", upstreamAt(t, "http://192.0.2.1:9", func(c *proxy.UpstreamConfig) { c.Timeouts.Connect = 50 * time.Millisecond }))
	inEach(t, g, nil, "14", "upstream_unreachable")
}

func TestOverloadIsShedInEachProtocol(t *testing.T) {
	var waiting atomic.Int64
	end := make(chan struct{})
	at := serveUpstream(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { waiting.Add(1); <-end }))
	g := newGatewayAt(t, at, upstreamAt(t, at, func(c *proxy.UpstreamConfig) { c.MaxInFlight = 4 }))
	var all sync.WaitGroup
	for range 2 { // a caller's half
		all.Go(func() {
			if res, err := client(t, 1).Get(g.url + "/v2/users/1"); err == nil {
				res.Body.Close()
			}
		})
	}
	within(t, func() bool { return waiting.Load() == 2 })
	inEach(t, g, nil, "14", "overload")
	res, err := client(t, 1).Get(g.url + "/v2/users/1")
	check(t, err)
	res.Body.Close()
	if res.Header.Get("Retry-After") == "" || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, header %v", res.StatusCode, res.Header)
	}
	close(end)
	all.Wait()
	g.records(t, 3)
	within(t, func() bool { // the places are free again
		res, err := client(t, 1).Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	if n := waiting.Load(); n < 3 {
		t.Errorf("%d requests arrived", n)
	}
}

// unproven are callers whose proof nobody can look into just now.
type unproven struct{}

func (unproven) Authenticate(*http.Request) (authn.Identity, error) {
	return authn.Identity{}, &authn.Error{Reason: authn.ReasonKeysUnavailable, Detail: "the keys are not known; try again soon"}
}

// What passes by itself says in each protocol when to try again.
func TestWhatPassesIsToldWithATimeToTryAgain(t *testing.T) {
	for reason, o := range map[string]options{
		"jwt_keys_unavailable": {says: unproven{}},
		"evidence":             {config: func(c *proxy.Config) { c.Audit = fullDisk{c.Audit} }},
	} {
		g := newGateway(t, new(counted), o)
		for name, p := range protocols {
			r, err := http.NewRequest(http.MethodPost, g.url+p.path, bytes.NewReader(p.body))
			check(t, err)
			r.Header.Set("Content-Type", p.contentType)
			res, err := client(t, p.major).Do(r)
			check(t, err)
			if code, text := told(t, res); code != "14" || !strings.Contains(text, reason) || res.Header.Get("Retry-After") != "1" {
				t.Errorf("%s, %s: code %s, Retry-After %q: %s", reason, name, code, res.Header.Get("Retry-After"), text)
			}
		}
	}
}

// fullDisk takes no intent record.
type fullDisk struct{ proxy.Recorder }

func (d fullDisk) Write(r *audit.Record) error {
	if r.Kind == audit.Intent {
		return errors.New("no space left on device")
	}
	return d.Recorder.Write(r)
}

// within waits for what must become true.
func within(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it has not become true")
		}
	}
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
	at := serveUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	var later atomic.Int64 // of the clock, so that nobody waits for the silence
	o := upstreamAt(t, at, func(*proxy.UpstreamConfig) {})
	plain := o.config
	o.config = func(c *proxy.Config) {
		plain(c)
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}
	g := newGatewayAt(t, at, o)
	later.Store(int64(time.Minute))
	for range 5 {
		res, err := client(t, 1).Post(g.url+"/v2/users/1/lock", "application/json", strings.NewReader("{}"))
		check(t, err)
		res.Body.Close()
	}
	later.Store(int64(time.Minute - time.Second)) // no time for a probe
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

// Deadlines and bodies that callers break off are theirs, ordinary errors are answers.
func TestWhatCallersBringAboutDoesNotOpenTheCircuit(t *testing.T) {
	at := serveUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.Header.Get("Grpc-Timeout") {
		case "":
			w.WriteHeader(http.StatusInternalServerError)
		case "60S":
			w.WriteHeader(http.StatusGatewayTimeout)
		default:
			<-r.Context().Done()
		}
	}))
	var later atomic.Int64
	o := upstreamAt(t, at, func(c *proxy.UpstreamConfig) {
		c.CircuitChanged = func(_ bool, why string) { t.Errorf("the circuit opened: %s", why) }
	})
	plain := o.config
	o.config = func(c *proxy.Config) {
		plain(c)
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}
	g := newGatewayAt(t, at, o)
	later.Store(int64(time.Hour))
	for range 7 {
		for _, timeout := range []string{"", "60S", "5m"} {
			r, err := http.NewRequest(http.MethodGet, g.url+"/v2/users/1", nil)
			check(t, err)
			if timeout != "" {
				r.Header.Set("Grpc-Timeout", timeout)
			}
			res, err := client(t, 1).Do(r)
			check(t, err)
			res.Body.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/v2/users/1", nil)
		check(t, err)
		r.Header.Set("Grpc-Timeout", "9S")
		if res, err := client(t, 1).Do(r); err == nil {
			res.Body.Close()
		}
		cancel()
	}
}
