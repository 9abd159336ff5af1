package proxy_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/proxy"
)

// local says that everybody is anonymous.
type local struct{}

func (local) Authenticate(*http.Request) (authn.Identity, error) {
	caller, err := authn.ParseCaller("anonymous:test")
	return authn.Identity{Caller: caller}, err
}

// pipe is a listener with one connection.
type pipe struct {
	net.Listener
	conns chan net.Conn
}

func (p pipe) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipe) Close() error { return nil }

// A body that only a shadow rule wants to see is waited for no longer than others.
func TestAShadowRuleWaitsForNoBodyForEver(t *testing.T) {
	var c proxy.Config
	g := newGateway(t, new(counted), options{
		rules: []policy.Rule{{
			Name: "dark", Callers: []string{"anonymous:test"}, Operations: []string{userList}, When: "size(request.queries) == 0", As: "reader", Shadow: true,
		}},
		config: func(made *proxy.Config) { c = *made },
	})
	p, err := proxy.New(c)
	check(t, err)
	handler := p.Listener("test", local{})
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		socket := pipe{conns: make(chan net.Conn, 1)}
		socket.conns <- theirs
		s := &http.Server{Handler: handler}
		go func() { _ = s.Serve(socket) }()
		begin := time.Now()
		go func() {
			_, _ = io.WriteString(ours, "POST /"+userList+" HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
		}()
		check(t, ours.SetReadDeadline(begin.Add(time.Hour)))
		answer, err := io.ReadAll(ours)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 403 ") || time.Since(begin) > time.Minute {
			t.Errorf("after %v: %v %.200s", time.Since(begin), err, answer)
		}
		close(socket.conns)
		_ = s.Close()
		_ = ours.Close()
	})
	if r := outcomes(g.records(t, 1)); len(r) != 1 || r[0].Reason == "" {
		t.Errorf("records: %+v", r)
	}
}

// What unpacks to much is none of the shadow rules' business, as what is large is
// not: bodies that they look into take no turns.
func TestShadowRulesLookIntoNothingLarge(t *testing.T) {
	g := newGateway(t, new(counted), options{rules: []policy.Rule{
		{Name: "dark", Callers: []string{"anonymous:test"}, Operations: []string{userList}, When: "size(request.queries) == 0", As: "reader", Shadow: true},
		{Name: "light", Callers: []string{"anonymous:test"}, Operations: []string{userList}, As: "reader"},
	}})
	for i, c := range []struct {
		spaces int
		shadow string
	}{{10, "dark"}, {100 << 10, ""}} {
		r, err := http.NewRequest(http.MethodPost, g.url+"/"+userList, bytes.NewReader(zipped([]byte("{"+strings.Repeat(" ", c.spaces)+"}"))))
		check(t, err)
		r.Header = http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
		res, err := client(t, 1).Do(r)
		check(t, err)
		check(t, res.Body.Close())
		if got := outcomes(g.records(t, i+1))[i]; res.StatusCode != http.StatusOK || got.Shadow != c.shadow {
			t.Errorf("%d spaces: HTTP %d, shadow %q", c.spaces, res.StatusCode, got.Shadow)
		}
	}
}
