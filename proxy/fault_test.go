package proxy_test

import (
	"bytes"
	"errors"
	"io"
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
