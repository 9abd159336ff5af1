package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/proxy"
)

// shower names callers by the token that they show, and takes it from the request.
type shower map[string]string

func (s shower) Authenticate(r *http.Request) (authn.Identity, error) {
	shown := r.Header.Get("Authorization")
	delete(r.Header, "Authorization")
	subject, ok := s[shown]
	if !ok {
		return authn.Identity{}, &authn.Error{Reason: "jwt_missing", Detail: "no token"}
	}
	caller, err := authn.JWT("cluster", subject)
	return authn.Identity{Caller: caller}, err
}

// generations are proxies of which each takes the place of the one before it.
type generations struct {
	*gateway
	config  proxy.Config
	handler atomic.Pointer[http.Handler]
	ahead   atomic.Int64 // of the clock, in seconds
}

const orgList = "zitadel.org.v2.OrganizationService/ListOrganizations"

func newGenerations(t *testing.T, upstream http.Handler) *generations {
	up := httptest.NewUnstartedServer(upstream)
	up.Config.Protocols = cleartext()
	up.Start()
	t.Cleanup(up.Close)
	issuer, err := url.Parse(up.URL)
	check(t, err)
	zitadel, err := proxy.NewUpstream(proxy.UpstreamConfig{Issuer: issuer})
	check(t, err)
	t.Cleanup(zitadel.Close)
	catalogue, err := operation.Default()
	check(t, err)
	g := &generations{gateway: &gateway{log: new(lockedBuffer), user: newStaticUser()}}
	records, err := audit.Open(audit.Options{Writer: g.log})
	check(t, err)
	began := time.Now()
	g.config = proxy.Config{
		Catalogue: catalogue, Upstream: zitadel, Audit: records, ServiceUsers: map[string]proxy.ServiceUser{"reader": g.user},
		HeaderBytes: 16 << 10, BodyBytes: 1 << 20, InspectBytes: 256 << 10,
		Clock: func() time.Time { return began.Add(time.Duration(g.ahead.Load()) * time.Second) },
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*g.handler.Load()).ServeHTTP(w, r) })}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(socket) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	g.url = "http://" + socket.Addr().String()
	return g
}

// next puts a proxy in the place of the one before.
func (g *generations) next(t *testing.T, says authn.Authenticator, operations ...string) *proxy.Proxy {
	var err error
	g.config.Policy, err = policy.Compile(g.config.Catalogue, []policy.Rule{{Name: "tested", Callers: []string{"jwt:cluster/crm"}, As: "reader", Operations: operations}})
	check(t, err)
	p, err := proxy.New(g.config)
	check(t, err)
	h := p.Listener("test", says)
	p.Begin()
	g.handler.Store(&h)
	g.config.Before = p
	return p
}

// post begins a request whose body goes on with what is written to w. It
// returns once zproxy reads the body; answered gives its status.
func (g *generations) post(t *testing.T, path string) (w *io.PipeWriter, answered <-chan int) {
	body, w := io.Pipe()
	t.Cleanup(func() { _ = w.Close() })
	reading, status := make(chan struct{}), make(chan int, 1)
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got100Continue: func() { close(reading) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+path, body)
	check(t, err)
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer of-crm"}, "Expect": {"100-continue"}}
	c := client(t, 1)
	c.Transport.(*http.Transport).ExpectContinueTimeout = c.Timeout
	go func() {
		res, err := c.Do(r)
		if err != nil {
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	select {
	case <-reading:
	case s := <-status:
		t.Fatalf("answered with %d before the body was read", s)
	}
	return w, status
}

// A token is taken from the request that shows it. Who the caller is can be told
// anew all the same: a reload ends what its rules do not give any more, and nothing else.
func TestAReloadEndsNoStreamOfACallerWhoseTokenWasTaken(t *testing.T) {
	for name, c := range map[string]struct {
		says   shower
		reason string
	}{
		"TheSameCaller": {shower{"Bearer of-crm": "crm"}, "allowed"},
		"AnotherCaller": {shower{"Bearer of-crm": "web"}, "rule_lost"},
		"NoCaller":      {shower{}, "rule_lost"},
	} {
		t.Run(name, func(t *testing.T) {
			began := make(chan struct{})
			g := newGenerations(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(began)
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, "{}")
			}))
			g.next(t, shower{"Bearer of-crm": "crm"}, orgList)
			w, answered := g.post(t, "/v2/organizations/_search")
			_, err := io.WriteString(w, "{"+strings.Repeat(" ", 128<<10))
			check(t, err)
			<-began
			p := g.next(t, c.says, orgList)
			p.Review()
			g.ahead.Add(3) // what is about to end has ended
			p.Review()
			if c.reason != "rule_lost" {
				_, _ = io.WriteString(w, "}")
			} else if records := g.records(t, 1); records[0].Status != http.StatusForbidden { // without the end of the body
				t.Errorf("answered with %d, want 403", records[0].Status)
			}
			_ = w.Close()
			<-answered
			if records := g.records(t, 1); records[0].Reason != c.reason {
				t.Errorf("recorded %s, want %s", records[0].Reason, c.reason)
			}
		})
	}
}

// A body that takes its time is judged by the rules that serve when it is there.
func TestAReloadIsForRequestsWhoseBodiesAreRead(t *testing.T) {
	for name, path := range map[string]string{userList: "/v2/users", orgList: "/v2/organizations/_search"} {
		t.Run(name, func(t *testing.T) {
			upstream := new(counted)
			g := newGenerations(t, upstream)
			says := shower{"Bearer of-crm": "crm"}
			for _, c := range []struct {
				operation string
				status    int
				reason    string
			}{
				{name, http.StatusOK, "allowed"},
				{userRead, http.StatusForbidden, "rule_lost"},
			} {
				g.next(t, says, name)
				w, answered := g.post(t, path)
				g.next(t, says, c.operation)
				g.ahead.Add(3)
				_, _ = io.WriteString(w, "{}")
				_ = w.Close()
				if status := <-answered; status != c.status {
					t.Errorf("%s: answered with %d, want %d", c.reason, status, c.status)
				}
			}
			records := g.records(t, 2)
			if last := records[len(records)-1]; last.Reason != "rule_lost" || last.Effect != "deny" || last.ServiceUser != "" {
				t.Errorf("recorded %s, %s, as %q", last.Effect, last.Reason, last.ServiceUser)
			}
			if n := upstream.n.Load(); n != 1 {
				t.Errorf("%d requests went upstream, want 1", n)
			}
		})
	}
}

// A request that was about to end when its rule went ends as it began: a reload
// fails no call that is under way.
func TestAReloadFailsNoCallThatIsUnderWay(t *testing.T) {
	for name, path := range map[string]string{userList: "/v2/users", orgList: "/v2/organizations/_search"} {
		t.Run(name, func(t *testing.T) {
			g := newGenerations(t, new(counted))
			says := shower{"Bearer of-crm": "crm"}
			g.next(t, says, name)
			w, answered := g.post(t, path)
			p := g.next(t, says, userRead)
			p.Review()
			p.Review()
			_, _ = io.WriteString(w, "{}")
			_ = w.Close()
			if status := <-answered; status != http.StatusOK {
				t.Errorf("answered with %d", status)
			}
		})
	}
}

// A body that never ends holds nothing open: its caller reads why, and the
// connection is closed.
func TestABodyWithoutEndEndsWithItsRule(t *testing.T) {
	began := make(chan struct{})
	g := newGenerations(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	says := shower{"Bearer of-crm": "crm"}
	g.next(t, says, orgList)
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	check(t, err)
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(c, "POST /v2/organizations/_search HTTP/1.1\r\nHost: zproxy\r\nContent-Type: application/json\r\nAuthorization: Bearer of-crm\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n20000\r\n{"+strings.Repeat(" ", 0x20000-1)+"\r\n")
	check(t, err)
	<-began
	p := g.next(t, says, userRead)
	p.Review()
	g.ahead.Add(3)
	p.Review()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	check(t, err)
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusForbidden || !res.Close || !strings.Contains(string(answer), "rule_lost") {
		t.Errorf("the caller reads %d %q, %v", res.StatusCode, answer, err)
	}
}
