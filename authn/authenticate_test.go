package authn_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/authn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wrapped hides what is inside, as an observing listener does.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

type wrapping struct{ net.Listener }

func (w wrapping) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	return wrapped{c}, err
}

// serve answers each request with what a says of it.
func serve(t *testing.T, socket net.Listener, a authn.Authenticator) {
	t.Helper()
	s := &http.Server{ConnContext: authn.ConnContext, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := a.Authenticate(r)
		var e *authn.Error
		if errors.As(err, &e) {
			fmt.Fprintf(w, "%s|%s", e.Reason, id.Peer)
			return
		}
		fmt.Fprintf(w, "%s|%s", id.Caller, id.Peer)
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(wrapping{socket}) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
}

// ask sends a request as it is written and returns who was said to have sent it.
func ask(t *testing.T, a net.Addr, request string) (who, peer string) {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	check(t, err)
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	_, err = io.WriteString(c, request)
	check(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	check(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	if res.StatusCode != http.StatusOK {
		return res.Status, ""
	}
	who, peer, _ = strings.Cut(string(body), "|")
	return who, peer
}

func TestOnlyTheListenersOwnHostsAreAnswered(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	a, err := authn.NewAnonymous(authn.AnonymousConfig{
		Name: "local", Network: "tcp", ListenAddress: socket.Addr().String(), Hosts: []string{"Zproxy.internal", "10.1.0.5"},
	})
	check(t, err)
	serve(t, socket, a)
	for host, own := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "localhost:8080": true, "127.0.0.1": true, "127.1.2.3:1": true, "[::1]": true, "[::1]:80": true,
		socket.Addr().String(): true, "zproxy.internal": true, "ZPROXY.internal:443": true, "10.1.0.5": true, "[::ffff:127.0.0.1]": true,
		"localhost.evil.com": false, "127.0.0.1.evil.com": false, "evil.com": false, "localhost.": false, "0.0.0.0": false, "[::]": false,
		"localhost:": false, "localhost:abc": false, "localhost:123456": false, "a@localhost": false, "10.1.0.6": false, "127.1": false,
		"2130706433": false, "::1": false, "[localhost]": false, "[127.0.0.1]": false, "[::1": false, "evil.com:80:80": false, ":80": false, "zproxy.internal.": false,
	} {
		want := "anonymous:local"
		if !own {
			want = string(authn.ReasonForeignHost)
		}
		if got, _ := ask(t, socket.Addr(), "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); got != want && (own || !strings.HasPrefix(got, "400")) {
			t.Errorf("Host %q: %s, want %s", host, got, want)
		}
	}
	for _, request := range []string{"GET / HTTP/1.0\r\n\r\n", "GET http://evil.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		if got, _ := ask(t, socket.Addr(), request); got != string(authn.ReasonForeignHost) {
			t.Errorf("%q: %s", request, got)
		}
	}
}

func TestBrowsersAreNoCallers(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	a, err := authn.NewAnonymous(authn.AnonymousConfig{Name: "local", Network: "tcp", ListenAddress: socket.Addr().String()})
	check(t, err)
	serve(t, socket, a)
	for _, h := range []string{"Origin: null", "origin:", "Sec-Fetch-Site: none", "sec-fetch-new: x", "Sec-WebSocket-Key: x"} {
		if got, peer := ask(t, socket.Addr(), "GET / HTTP/1.1\r\nHost: evil.com\r\n"+h+"\r\n\r\n"); got != string(authn.ReasonBrowser) || peer == "" {
			t.Errorf("%s: %s from %q", h, got, peer)
		}
	}
}

func TestSourceAddressIsComparedUnmappedAndWithoutZone(t *testing.T) {
	a, err := authn.NewAnonymous(authn.AnonymousConfig{
		Name: "legacy", Network: "tcp", ListenAddress: "0.0.0.0:80",
		AllowFrom: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::ffff:192.0.2.0/120")},
	})
	check(t, err)
	for remote, allowed := range map[string]bool{
		"10.1.2.3:1": true, "[::ffff:10.1.2.3]:1": true, "[fe80::1%eth0]:1": true, "192.0.2.9:1": true,
		"10.2.0.1:1": false, "127.0.0.1:1": false, "[::1]:1": false, "": false, "@": false,
	} {
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		r.RemoteAddr = remote
		_, err := a.Authenticate(r)
		var e *authn.Error
		if allowed != (err == nil) || err != nil && (!errors.As(err, &e) || e.Reason != authn.ReasonSourceAddress) {
			t.Errorf("%q: %v", remote, err)
		}
	}
}

func TestListenerOnAllAddressesOwnsTheOneThatWasCalled(t *testing.T) {
	a, err := authn.NewAnonymous(authn.AnonymousConfig{Name: "legacy", Network: "tcp", ListenAddress: ":80"})
	check(t, err)
	for host, own := range map[string]bool{"10.1.0.5": true, "10.1.0.6": false} {
		r := httptest.NewRequest("GET", "http://"+host+"/", nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.ParseIP("10.1.0.5"), Port: 80})))
		if _, err := a.Authenticate(r); own != (err == nil) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestUnixCallersAreNamedByTheirCredentials(t *testing.T) {
	uid, gid, other := uint32(os.Getuid()), uint32(os.Getgid()), uint32(os.Getuid()+1)
	for _, test := range []struct {
		callers []authn.UnixCaller
		want    string
	}{
		{[]authn.UnixCaller{{Name: "group", GID: &gid}, {Name: "user", UID: &uid}}, "unix:user"},
		{[]authn.UnixCaller{{Name: "other", UID: &other}, {Name: "group", GID: &gid}}, "unix:group"},
		{[]authn.UnixCaller{{Name: "first", UID: &uid}, {Name: "second", UID: &uid}}, "unix:first"},
		{[]authn.UnixCaller{{Name: "other", UID: &other}}, string(authn.ReasonUnknownCaller)},
	} {
		socket, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		check(t, err)
		a, err := authn.NewUnix(test.callers)
		check(t, err)
		serve(t, socket, a)
		who, peer := ask(t, socket.Addr(), "GET / HTTP/1.1\r\nHost: anything\r\n\r\n")
		if who != test.want || peer != fmt.Sprintf("uid=%d gid=%d pid=%d", uid, gid, os.Getpid()) {
			t.Errorf("%s from %q, want %s", who, peer, test.want)
		}
		if who, _ := ask(t, socket.Addr(), "GET / HTTP/1.1\r\nHost: a\r\nOrigin: null\r\n\r\n"); who != string(authn.ReasonBrowser) {
			t.Errorf("browser: %s", who)
		}
	}
}

func TestWithoutCredentialsNobodyIsNamed(t *testing.T) {
	uid := uint32(0)
	a, err := authn.NewUnix([]authn.UnixCaller{{Name: "root", UID: &uid}})
	check(t, err)
	if id, err := a.Authenticate(httptest.NewRequest("GET", "/", nil)); err == nil || !id.Caller.IsZero() {
		t.Errorf("named %v", id.Caller)
	}
}

func TestFaultyConfigurationsAreRefused(t *testing.T) {
	id := uint32(1)
	for _, c := range [][]authn.UnixCaller{nil, {{Name: "a"}}, {{Name: "a", UID: &id, GID: &id}}, {{Name: "A", UID: &id}}, {{Name: "a", UID: &id}, {Name: "a", GID: &id}}} {
		if _, err := authn.NewUnix(c); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
	ok := authn.AnonymousConfig{Name: "a", Network: "tcp", ListenAddress: "127.0.0.1:1"}
	for _, fault := range []func(*authn.AnonymousConfig){
		func(c *authn.AnonymousConfig) { c.Name = "" },
		func(c *authn.AnonymousConfig) { c.Network = "" },
		func(c *authn.AnonymousConfig) { c.ListenAddress = "127.0.0.1" },
		func(c *authn.AnonymousConfig) { c.Hosts = []string{"*.a"} },
		func(c *authn.AnonymousConfig) { c.Hosts = []string{"a:80"} },
		func(c *authn.AnonymousConfig) { c.AllowFrom = make([]netip.Prefix, 1) },
		func(c *authn.AnonymousConfig) { c.Network = "unix"; c.AllowFrom = make([]netip.Prefix, 1) },
	} {
		c := ok
		fault(&c)
		if _, err := authn.NewAnonymous(c); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	a, err := authn.NewAnonymous(authn.AnonymousConfig{Name: "a", Network: "tcp", ListenAddress: "127.0.0.1:1"})
	check(b, err)
	r := httptest.NewRequest("GET", "http://127.0.0.1:1/", nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}
