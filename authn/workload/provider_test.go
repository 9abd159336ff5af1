package workload_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/workload"
)

// provider is an issuer's server: discovery and keys over TLS.
type provider struct {
	*httptest.Server
	ca     string // file
	asked  atomic.Int64
	mu     sync.Mutex
	answer http.HandlerFunc // to all; nil for what a good one says
	keys   string
	shown  []string // values of Authorization
}

func newProvider(t testing.TB, keys string) *provider {
	t.Helper()
	p := &provider{keys: keys}
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.StartTLS()
	t.Cleanup(p.Close)
	p.ca = write(t, filepath.Join(t.TempDir(), "ca.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})))
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	p.mu.Lock()
	answer, keys := p.answer, p.keys
	p.shown = append(p.shown, r.Header.Get("Authorization"))
	p.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/openid/v1/jwks"})
	case r.URL.Path == "/openid/v1/jwks":
		_, _ = w.Write([]byte(keys))
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) say(answer http.HandlerFunc) { p.mu.Lock(); p.answer = answer; p.mu.Unlock() }
func (p *provider) publish(keys string)         { p.mu.Lock(); p.keys = keys; p.mu.Unlock() }

// config is of an issuer with this provider. Its server's certificate is of the
// clock that all have.
func (p *provider) config() workload.Config {
	return workload.Config{Name: "cluster", Issuer: p.URL, Audience: audience, CAFile: p.ca, Every: 20 * time.Millisecond, Pause: time.Millisecond}
}

// run keeps the keys of an issuer until the test ends or stop is called.
func run(t testing.TB, c workload.Config) (i *workload.Issuer, stop func()) {
	t.Helper()
	i, err := workload.New(c)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ending: %v", err)
		}
	})
	t.Cleanup(stop)
	return i, stop
}

// token returns a good token of this provider, by the clock that all have.
func (p *provider) token(kid string) string {
	alg := map[string]string{"rsa": "RS256", "rsa2": "RS256", "p256": "ES256", "p384": "ES384", "p521": "ES512", "ed": "EdDSA"}[kid]
	now := time.Now()
	return token(alg, kid, header(alg, kid), claims(map[string]any{"iss": p.URL, "iat": now.Unix(), "nbf": nil, "exp": now.Add(time.Hour).Unix()}))
}

// until polls for what must come to be.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 6000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not within 30 s: %s", what)
}
