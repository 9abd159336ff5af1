package proxy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/proxy"
)

const v1Read = "zitadel.management.v1.ManagementService/GetUserByID"

// trailerFrame is gRPC-web's trailer in the body.
func trailerFrame(text string) []byte { return framed(0x80, []byte(text)) }

// Each shape in which ZITADEL refuses a token costs one fetch and one more
// request, and the caller sees nothing of it.
func TestTokenRefusalsInEveryShape(t *testing.T) {
	const v1Text = "rpc error: code = Unauthenticated desc = auth header missing ()"
	grpc := framed(0, []byte("\x0a\x01\x31"))
	for name, c := range map[string]struct {
		major             int
		path, contentType string
		body              []byte
		refuse            func(w http.ResponseWriter)
	}{
		"v2 REST": {1, "/v2/users", "application/json", []byte("{}"), func(w http.ResponseWriter) { w.WriteHeader(401) }},
		"v1 REST": {1, "/management/v1/users/1", "", nil, func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(500)
			_, _ = io.WriteString(w, `{"code":2,"message":"`+v1Text+`","details":[]}`)
		}},
		"Connect": {1, "/" + userLock, "application/json", []byte("{}"), func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(401)
			_, _ = io.WriteString(w, `{"code":"unauthenticated"}`)
		}},
		"gRPC trailers only": {2, "/" + userLock, "application/grpc", grpc, func(w http.ResponseWriter) { w.Header().Set("Grpc-Status", "16") }},
		"gRPC header and trailer": {2, "/" + userLock, "application/grpc", grpc, func(w http.ResponseWriter) {
			w.Header().Set("Trailer", "Grpc-Status")
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("Grpc-Status", "16")
		}},
		"v1 gRPC": {2, "/" + v1Read, "application/grpc", grpc, func(w http.ResponseWriter) {
			w.Header().Set("Grpc-Status", "2")
			w.Header().Set("Grpc-Message", v1Text)
		}},
		"gRPC-web header": {1, "/" + userLock, "application/grpc-web+proto", grpc, func(w http.ResponseWriter) { w.Header().Set("Grpc-Status", "16") }},
		"gRPC-web frame": {1, "/" + userLock, "application/grpc-web+proto", grpc, func(w http.ResponseWriter) {
			_, _ = w.Write(trailerFrame("grpc-status: 16\r\ngrpc-message: x\r\n"))
		}},
		"gRPC-web text": {1, "/" + v1Read, "application/grpc-web-text", []byte(base64.StdEncoding.EncodeToString(grpc)), func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, base64.StdEncoding.EncodeToString(trailerFrame("grpc-status:16\r\n")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			up := &seen{answer: func(w http.ResponseWriter, n int) {
				w.Header().Set("Content-Type", c.contentType)
				if n == 1 {
					c.refuse(w)
					return
				}
				w.Header().Set("Grpc-Status", "0")
				_, _ = io.WriteString(w, "fine")
			}}
			g := newGateway(t, up, options{})
			g.user.next = &serviceuser.Token{Authorization: []string{"Bearer fresh"}, Generation: 2}
			method := http.MethodPost
			if c.body == nil {
				method = http.MethodGet
			}
			r, err := http.NewRequest(method, g.url+c.path, bytes.NewReader(c.body))
			check(t, err)
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			res, err := client(t, c.major).Do(r)
			check(t, err)
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if string(body) != "fine" || len(up.all) != 2 || g.user.discarded != 1 {
				t.Errorf("%q after %d requests and %d discards: %v", body, len(up.all), g.user.discarded, res.Header)
			}
			if len(up.all) == 2 && (up.bodies[0] != up.bodies[1] || up.all[1].Header.Get("Authorization") != "Bearer fresh") {
				t.Errorf("bodies %q, Authorization %q", up.bodies, up.all[1].Header.Get("Authorization"))
			}
			records := outcomes(g.records(t, 1))
			if r := records[len(records)-1]; r.Attempts != 2 {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// What a caller sends can come back in the text of an error: it must not take
// the token away from others.
func TestTextsOfErrorsDoNotRefuseTheToken(t *testing.T) {
	for name, answer := range map[string]string{
		"echoed":     `{"code":2,"message":"rpc error: code = InvalidArgument desc = invalid X.Y: rpc error: code = Unauthenticated desc = auth header missing"}`,
		"other code": `{"code":13,"message":"rpc error: code = Unauthenticated desc = auth header missing"}`,
		"no JSON":    `rpc error: code = Unauthenticated desc = auth header missing`,
		"long":       `{"code":2,"x":"` + strings.Repeat("a", 10<<10) + `","message":"rpc error: code = Unauthenticated desc = x"}`,
	} {
		up := &seen{answer: func(w http.ResponseWriter, _ int) { w.WriteHeader(500); _, _ = io.WriteString(w, answer) }}
		g := newGateway(t, up, options{})
		res, err := client(t, 1).Get(g.url + "/management/v1/users/1")
		check(t, err)
		body, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != 500 || string(body) != answer || len(up.all) != 1 || g.user.discarded != 0 {
			t.Errorf("%s: status %d, %d bytes, %d requests, %d discards", name, res.StatusCode, len(body), len(up.all), g.user.discarded)
		}
	}
}

// instance is ZITADEL: a token endpoint, and an API that takes the newest token only.
type instance struct {
	url     string
	fetches atomic.Int64
	calls   atomic.Int64
	foreign atomic.Int64 // calls with a token that was never issued
	life    atomic.Int64 // seconds
	down    atomic.Bool
	pause   atomic.Int64 // of the token endpoint, in nanoseconds

	mu     sync.Mutex
	valid  string
	issued map[string]time.Time // and when each ends
	late   atomic.Int64         // calls with a token that had ended
}

func newInstance(t *testing.T) *instance {
	z := &instance{issued: make(map[string]time.Time)}
	z.life.Store(3600)
	s := httptest.NewUnstartedServer(http.HandlerFunc(z.serve))
	s.Config.Protocols = cleartext()
	s.Start()
	t.Cleanup(s.Close)
	z.url = s.URL
	return z
}

func (z *instance) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/oauth/v2/token" {
		n := z.fetches.Add(1)
		if z.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		time.Sleep(time.Duration(z.pause.Load()))
		z.mu.Lock()
		defer z.mu.Unlock()
		z.valid = fmt.Sprintf("token-%d", n)
		z.issued["Bearer "+z.valid] = time.Now().Add(time.Duration(z.life.Load()) * time.Second)
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, z.valid, z.life.Load())
		return
	}
	z.calls.Add(1)
	given := r.Header.Get("Authorization")
	z.mu.Lock()
	valid, ends := "Bearer "+z.valid, z.issued[given]
	z.mu.Unlock()
	switch {
	case ends.IsZero():
		z.foreign.Add(1)
	case time.Now().After(ends.Add(time.Second)): // not for what is on its way too long
		z.late.Add(1)
	}
	if given != valid {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Grpc-Status", "0")
}

// revoke ends the newest token.
func (z *instance) revoke() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.valid = ""
}

// front puts a proxy with a real service user before z; it runs until the test ends.
func (z *instance) front(t *testing.T) (*gateway, *serviceuser.Source) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(file, []byte("s"), 0o600))
	issuer, err := url.Parse(z.url)
	check(t, err)
	source, err := serviceuser.New(serviceuser.Config{Name: "reader", Issuer: issuer, Transport: &http.Transport{DisableKeepAlives: true}},
		serviceuser.ClientCredentials("x", file).WithUserID(ownID))
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- source.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return newGatewayAt(t, z.url, options{config: func(c *proxy.Config) { c.ServiceUsers = map[string]proxy.ServiceUser{"reader": source} }}), source
}

func together(n int, f func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(f)
	}
	all.Wait()
}

// Fifty callers at a cold start, and again at a token that was revoked, cost
// one fetch each, and all of them are served.
func TestFiftyCallersCostOneFetch(t *testing.T) {
	z := newInstance(t)
	z.pause.Store(int64(100 * time.Millisecond))
	g, _ := z.front(t)
	caller := client(t, 1)
	caller.Timeout = 30 * time.Second
	lock := func() {
		res, err := caller.Post(g.url+"/v2/users/1/lock", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Error(err)
			return
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("status %d: %s", res.StatusCode, res.Header.Get("Proxy-Status"))
		}
	}
	for round := range int64(2) {
		together(50, lock)
		if n := z.fetches.Load(); n != round+1 {
			t.Errorf("round %d: %d fetches", round, n)
		}
		z.revoke()
	}
	if n := z.calls.Load(); n > 150 || z.foreign.Load() != 0 {
		t.Errorf("%d calls for 100 requests, %d with a foreign token", n, z.foreign.Load())
	}
}

// When the held token has ended and no other can be had, requests fail at once,
// with the reason, in each protocol; and no call leaves with an ended token.
func TestAnEndedTokenFailsAtOnceInEachProtocol(t *testing.T) {
	z := newInstance(t)
	z.life.Store(2)
	g, source := z.front(t)
	_, err := source.Next(t.Context(), nil)
	check(t, err)
	z.down.Store(true)
	caller := client(t, 1)
	within(t, func() bool { // served while it lasts, and refused from its end on
		res, err := caller.Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		return res.StatusCode == http.StatusServiceUnavailable
	})
	inEach(t, g, nil, "14", "token_unavailable")
	res, err := caller.Get(g.url + "/v2/users/1")
	check(t, err)
	text, err := io.ReadAll(res.Body)
	check(t, err)
	res.Body.Close()
	if !strings.Contains(string(text), "ZITADEL is not available at the moment (503)") {
		t.Errorf("the answer does not say why: %s", text)
	}
	records := outcomes(g.records(t, 4))
	if r := records[len(records)-1]; r.Attempts != 0 || r.Duration > 2*time.Second {
		t.Errorf("record %+v", r)
	}
	z.down.Store(false)
	back := time.Now()
	within(t, func() bool {
		res, err := caller.Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	if d := time.Since(back); d > 15*time.Second { // 8 s, on a machine that has nothing else to do
		t.Errorf("back after %v", d)
	}
	if z.late.Load() != 0 || z.foreign.Load() != 0 {
		t.Errorf("%d calls with an ended token, %d with a foreign one", z.late.Load(), z.foreign.Load())
	}
}
