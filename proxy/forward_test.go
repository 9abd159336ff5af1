package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/proxy"
	"github.com/zproxy/zproxy/proxy/limit"
)

// seen keeps what arrived upstream and answers with a function.
type seen struct {
	mu     sync.Mutex
	all    []*http.Request
	bodies []string
	answer func(w http.ResponseWriter, n int)
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.all, s.bodies = append(s.all, r), append(s.bodies, string(body))
	n := len(s.all)
	s.mu.Unlock()
	if s.answer != nil {
		s.answer(w, n)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

func (s *seen) last(t *testing.T) *http.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		t.Fatal("nothing arrived upstream")
	}
	return s.all[len(s.all)-1]
}

func TestOnlyTheAllowlistArrivesUpstream(t *testing.T) {
	up := new(seen)
	g := newGateway(t, up, options{})
	r, err := http.NewRequest(http.MethodGet, g.url+"/v2/users/1?x=1", nil)
	check(t, err)
	pass := map[string]string{
		"Accept": "application/json", "Accept-Language": "de", "User-Agent": "test/1",
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "a=b",
	}
	for k, v := range pass {
		r.Header.Set(k, v)
	}
	for _, k := range []string{
		"Authorization", "Cookie", "Proxy-Authorization", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Real-Ip", "X-Zitadel-Orgid", "X-Zitadel-Instance-Host", "X-Zitadel-Public-Host", "X-Zitadel-Forwarded", "X-Zitadel-Login-Client",
		"Grpc-Metadata-Authorization", "Grpc-Metadata-X-Zitadel-Orgid", "Grpc-Metadata-X-Forwarded-Host", "X-Request-Id", "Te", "Trailer", "Via", "Range",
		"X-Original-Url", "X-Rewrite-Url", "If-Match", "Keep-Alive", "Proxy-Connection",
	} {
		r.Header.Set(k, "forged")
	}
	r.Header.Set("Connection", "authorization, x-zitadel-orgid")
	res, err := client(t, 1).Do(r)
	check(t, err)
	res.Body.Close()
	out := up.last(t)
	for k, v := range pass {
		if got := out.Header.Get(k); got != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
	if got := out.Header["Authorization"]; len(got) != 1 || got[0] != token {
		t.Errorf("Authorization %q", got)
	}
	for k, v := range out.Header {
		if strings.Contains(strings.Join(v, ","), "forged") {
			t.Errorf("%s arrived: %q", k, v)
		}
		if pass[k] == "" && k != "Authorization" && k != "Accept-Encoding" {
			t.Errorf("%s arrived, which nobody sent or allowed: %q", k, v)
		}
	}
	if r := g.records(t, 1)[0]; r.TraceID != "0af7651916cd43dd8448eb211c80319c" || r.ServiceUser != "reader" || r.UpstreamStatus != 200 {
		t.Errorf("record %+v", r)
	}
}

func TestRequestTrailersAreDropped(t *testing.T) {
	up := new(seen)
	g := newGateway(t, up, options{})
	r, err := http.NewRequest(http.MethodPost, g.url+"/"+unlisted+"Call", io.MultiReader(strings.NewReader("{}")))
	check(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Trailer = http.Header{"Authorization": {"Bearer forged"}, "X-Zitadel-Orgid": {"1"}}
	res, err := client(t, 1).Do(r)
	check(t, err)
	res.Body.Close()
	if out := up.last(t); len(out.Trailer) != 0 {
		t.Errorf("trailer %v arrived", out.Trailer)
	}
}

func TestAnswersLoseWhatCallersMustNotGet(t *testing.T) {
	up := &seen{answer: func(w http.ResponseWriter, _ int) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "zitadel-1")
		for _, k := range []string{"Set-Cookie", "Alt-Svc", "Server", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
			"Www-Authenticate", "Grpc-Metadata-Content-Type", "Grpcgateway-Content-Type", "Location", "X-Robots-Tag", "Strict-Transport-Security",
			"Keep-Alive", "Proxy-Authenticate", "X-Named-By-Connection"} {
			w.Header().Set(k, "leaked")
		}
		w.Header().Set("Connection", "x-named-by-connection")
		w.Header().Set(proxy.RequestIDHeader, "forged")
		_, _ = io.WriteString(w, "{}")
	}}
	g := newGateway(t, up, options{})
	res, err := client(t, 1).Get(g.url + "/v2/users/1")
	check(t, err)
	res.Body.Close()
	for k, v := range res.Header {
		if strings.Contains(strings.Join(v, ","), "leaked") {
			t.Errorf("%s: %q", k, v)
		}
	}
	r := g.records(t, 1)[0]
	if id := res.Header[proxy.RequestIDHeader]; len(id) != 1 || id[0] != r.ID {
		t.Errorf("request id %q, want %q", id, r.ID)
	}
	if r.UpstreamRequestID != "zitadel-1" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("record %+v, header %v", r, res.Header)
	}
}

func TestRedirectsAndUpgradesOfUpstreamAreNotRelayed(t *testing.T) {
	for _, status := range []int{101, 301, 302, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			up := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if status == 101 {
					c, _, err := w.(http.Hijacker).Hijack()
					if err == nil {
						_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
						c.Close()
					}
					return
				}
				w.Header().Set("Location", "http://evil.example/")
				w.WriteHeader(status)
			})
			g := newGateway(t, up, options{})
			res, err := client(t, 1).Get(g.url + "/v2/users/1")
			check(t, err)
			res.Body.Close()
			if res.StatusCode != http.StatusBadGateway || res.Header.Get("Location") != "" || res.Header.Get("Upgrade") != "" {
				t.Errorf("status %d, header %v", res.StatusCode, res.Header)
			}
			if r := g.records(t, 1)[0]; r.Reason != "upstream_answer" || r.UpstreamStatus != status {
				t.Errorf("record %+v", r)
			}
		})
	}
}

func TestOrganizationHeaderPassesOnlyWhereTheRuleSaysSo(t *testing.T) {
	for _, c := range []struct {
		organizations []string
		given, want   string
		status        int
	}{
		{nil, "287345091734012345", "", 200},
		{[]string{"*"}, "287345091734012345", "287345091734012345", 200},
		{[]string{"*"}, "", "", 200},
		{[]string{"*"}, "a b", "", 400},
	} {
		up := new(seen)
		g := newGateway(t, up, options{rules: []policy.Rule{{
			Name: "r", Callers: []string{"anonymous:test"}, Operations: []string{userRead}, As: "reader", Organizations: c.organizations,
		}}})
		r, err := http.NewRequest(http.MethodGet, g.url+"/v2/users/1", nil)
		check(t, err)
		r.Header.Set("X-Zitadel-Orgid", c.given)
		res, err := client(t, 1).Do(r)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%+v: status %d", c, res.StatusCode)
			continue
		}
		if c.status == 200 && up.last(t).Header.Get("X-Zitadel-Orgid") != c.want {
			t.Errorf("%+v: %q arrived", c, up.last(t).Header.Get("X-Zitadel-Orgid"))
		}
		if rec := g.records(t, 1)[0]; rec.Organization != c.want {
			t.Errorf("%+v: recorded %q", c, rec.Organization)
		}
	}
}

func TestRateLimitTellsWhenToTryAgain(t *testing.T) {
	up := new(seen)
	g := newGateway(t, up, options{config: func(c *proxy.Config) {
		c.RuleLimits = map[string]limit.Limit{"everything-tested": {Rate: 0.5, Burst: 1}}
	}})
	for i, want := range []int{200, 429} {
		res, err := client(t, 1).Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		if res.StatusCode != want || (want == 429) != (res.Header.Get("Retry-After") == "2") {
			t.Errorf("request %d: status %d, Retry-After %q", i, res.StatusCode, res.Header.Get("Retry-After"))
		}
	}
}

func TestUnreachableUpstreamIsUnavailable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	g := newGateway(t, new(seen), options{config: func(c *proxy.Config) {
		u, _ := url.Parse(gone.URL)
		c.Upstream, _ = proxy.NewUpstream(proxy.UpstreamConfig{Issuer: u})
	}})
	res, err := client(t, 1).Get(g.url + "/v2/users/1")
	check(t, err)
	res.Body.Close()
	if r := g.records(t, 1)[0]; res.StatusCode != 502 || r.Reason != "upstream_unreachable" || r.Effect != "allow" {
		t.Errorf("status %d, record %+v", res.StatusCode, r)
	}
}

func TestHostIsTheIssuersWhateverTheAddress(t *testing.T) {
	up := new(seen)
	at := httptest.NewServer(up)
	t.Cleanup(at.Close)
	g := newGateway(t, new(seen), options{config: func(c *proxy.Config) {
		address, _ := url.Parse(at.URL)
		c.Upstream, _ = proxy.NewUpstream(proxy.UpstreamConfig{Issuer: &url.URL{Scheme: "https", Host: "id.acme.example"}, Address: address})
		t.Cleanup(c.Upstream.Close)
	}})
	res, err := client(t, 1).Get(g.url + "/v2/users/1")
	check(t, err)
	res.Body.Close()
	if got := up.last(t).Host; got != "id.acme.example" {
		t.Errorf("Host %q", got)
	}
}

// The rest of a body that nobody reads must not be taken for a next request.
func TestUnreadBodyNeverBecomesARequest(t *testing.T) {
	up := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest) // without reading
	})
	g := newGateway(t, up, options{})
	smuggled := "GET /v2/users/2 HTTP/1.1\r\nHost: " + g.address + "\r\n\r\n"
	frame := string(framed(0, make([]byte, 100<<10)))
	request := fmt.Sprintf("POST /%sStream HTTP/1.1\r\nContent-Type: application/connect+json\r\nContent-Length: %d\r\n\r\n", unlisted, 9*len(frame))
	_, _ = g.raw(t, request+frame+frame+frame+smuggled)
	time.Sleep(50 * time.Millisecond)
	for _, r := range g.records(t, 2) {
		if r.Operation == userRead {
			t.Errorf("the body was taken for a request: %+v", r)
		}
	}
}

func TestReplySpeaksTheCallersProtocol(t *testing.T) {
	for _, c := range []struct {
		protocol    operation.Protocol
		path        string
		contentType string
		want        string
	}{
		{operation.REST, "/v2/users/1/deactivate", "application/json", `{"code":7,"details":[{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"ZPROXY-no_rule"`},
		{operation.Connect, "/" + string(userLock), "application/json", `{"code":"permission_denied","details":[{"type":"zitadel.v1.ErrorDetail","value":"`},
	} {
		g := newGateway(t, new(seen), options{rules: []policy.Rule{{
			Name: "r", Callers: []string{"anonymous:test"}, Operations: []string{userRead}, As: "reader",
		}}})
		res, err := client(t, 1).Post(g.url+c.path, c.contentType, strings.NewReader("{}"))
		check(t, err)
		body, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != 403 || !strings.HasPrefix(string(body), c.want) {
			t.Errorf("%s: status %d: %s", c.protocol, res.StatusCode, body)
		}
		if !strings.Contains(string(body), res.Header.Get(proxy.RequestIDHeader)) {
			t.Errorf("%s: no request id in %s", c.protocol, body)
		}
	}
}
