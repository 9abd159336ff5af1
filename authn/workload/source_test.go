package workload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
)

func TestKeysAreDiscoveredAndFetched(t *testing.T) {
	p := newProvider(t, jwks("rsa"))
	i, _ := run(t, p.config())
	c := callers(t, i)
	until(t, "ready", func() bool { return i.Status().Ready })
	if caller, err := c.Verify(p.token("rsa")); err != nil || caller.String() != crm {
		t.Errorf("%s, %v", caller, err)
	}
	if s := i.Status(); s.Keys != 1 || s.Err != nil || s.Fetched.IsZero() || !s.Failed.IsZero() {
		t.Errorf("%+v", s)
	}
	if err := i.Run(context.Background()); !errors.Is(err, workload.ErrRunning) {
		t.Errorf("ran twice: %v", err)
	}
}

// An issuer publishes a key before it signs with it, and takes one back after
// its last token has ended.
func TestKeysRotateWithoutARefusedToken(t *testing.T) {
	p := newProvider(t, jwks("rsa"))
	i, _ := run(t, p.config())
	c := callers(t, i)
	until(t, "ready", func() bool { return i.Status().Ready })
	var current atomic.Value
	current.Store(p.token("rsa"))
	var callers sync.WaitGroup
	var verified atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.Verify(current.Load().(string)); err != nil {
					t.Error(err)
					return
				}
				verified.Add(1)
				time.Sleep(time.Millisecond) // leaves the machine to the fetches
			}
		})
	}
	order := []string{"p256", "ed", "rsa2", "p384", "rsa"}
	for n, next := range order {
		before := "rsa"
		if n > 0 {
			before = order[n-1]
		}
		p.publish(jwks(before, next))
		until(t, "both keys", func() bool { return i.Status().Keys == 2 })
		current.Store(p.token(next))
		seen := verified.Load()
		until(t, "tokens of the new key, and none of the old", func() bool { return verified.Load() > seen+20 })
		p.publish(jwks(next))
		until(t, "one key", func() bool { return i.Status().Keys == 1 })
	}
	close(stop)
	callers.Wait()
	if _, err := c.Verify(p.token("p256")); reason(t, err) != workload.ReasonKeyUnknown {
		t.Errorf("a key that was taken back: %v", err)
	}
}

func TestATokenOfANewKeyHasTheKeysFetchedButNotOften(t *testing.T) {
	p := newProvider(t, jwks("rsa"))
	config := p.config()
	config.Every, config.Pause = time.Hour, 300*time.Millisecond
	i, _ := run(t, config)
	c := callers(t, i)
	until(t, "ready", func() bool { return i.Status().Ready })
	p.publish(jwks("rsa", "p256"))
	until(t, "the new key", func() bool { _, err := c.Verify(p.token("p256")); return err == nil })
	asked, began := p.asked.Load(), time.Now()
	for time.Since(began) < 400*time.Millisecond {
		if _, err := c.Verify(p.token("ed")); reason(t, err) != workload.ReasonKeyUnknown {
			t.Fatal(err)
		}
	}
	asked = p.asked.Load() - asked
	if most := 2 + 2*int64(time.Since(began)/config.Pause); asked > most { // two documents each
		t.Errorf("asked %d times, %d are the most", asked, most)
	}
}

func TestAnIssuerThatIsDownAtStartIsFoundLater(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := socket.Addr().String()
	check(t, socket.Close())
	p := newProvider(t, jwks("p256"))
	config := p.config()
	config.Issuer = "https://" + address
	var said bytes.Buffer
	config.Log = zerolog.New(zerolog.SyncWriter(&said))
	i, stop := run(t, config)
	c := callers(t, i)
	until(t, "a failure", func() bool { return i.Status().Err != nil })
	began := time.Now()
	late := token("ES256", "p256", header("ES256", "p256"), claims(map[string]any{"iss": config.Issuer, "iat": nil, "nbf": nil, "exp": time.Now().Add(time.Hour).Unix()}))
	if _, err := c.Verify(late); reason(t, err) != authn.ReasonKeysUnavailable || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if s := i.Status(); s.Ready || s.Keys != 0 || s.Failed.IsZero() || !strings.Contains(s.Err.Error(), "connection refused") {
		t.Errorf("%+v", s)
	}
	up, err := net.Listen("tcp", address)
	check(t, err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "jwks") {
			fmt.Fprint(w, jwks("p256"))
			return
		}
		fmt.Fprintf(w, `{"issuer": "https://%s", "jwks_uri": "https://%s/jwks"}`, address, address)
	}))
	check(t, s.Listener.Close())
	s.Listener = up
	s.StartTLS() // with the certificate that all of httptest have
	defer s.Close()
	until(t, "the issuer", func() bool { _, err := c.Verify(late); return err == nil })
	stop()
	if text := said.String(); strings.Count(text, "fetching the keys of an issuer failed") != 1 || strings.Count(text, "keys of an issuer fetched") != 1 {
		t.Errorf("said %s", text)
	}
}

// Whatever an issuer's server says beside good keys leaves the last good ones in use.
func TestBadAnswersLeaveTheKeysInUse(t *testing.T) {
	p := newProvider(t, jwks("p256"))
	var said bytes.Buffer
	config := p.config()
	config.Log = zerolog.New(zerolog.SyncWriter(&said))
	i, _ := run(t, config)
	c := callers(t, i)
	until(t, "ready", func() bool { return i.Status().Ready })
	other := newProvider(t, jwks("p256"))
	keys := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "jwks") {
				fmt.Fprint(w, text)
				return
			}
			fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": "%s/jwks"}`, p.URL, p.URL)
		}
	}
	document := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a failure":                 {status(500), "answers with status 500"},
		"nothing":                   {status(204), "answers with status 204"},
		"not for everybody":         {status(401), "set bearer_token_file"},
		"a redirect":                {http.RedirectHandler(other.URL+"/openid/v1/jwks", http.StatusFound).ServeHTTP, "redirect (302), which is never followed"},
		"a web page":                {document("<html>"), "is it an OpenID provider?"},
		"an endless document":       {func(w http.ResponseWriter, r *http.Request) { endless(w) }, "larger than 1024 KiB"},
		"another issuer's document": {document(`{"issuer": "https://evil.example", "jwks_uri": "https://evil.example"}`), `its issuer is "https://evil.example" and not`},
		"a document without keys":   {document(fmt.Sprintf(`{"issuer": %q}`, p.URL)), "it has no jwks_uri"},
		"keys in clear":             {document(fmt.Sprintf(`{"issuer": %q, "jwks_uri": "http://127.0.0.1/jwks"}`, p.URL)), "its scheme is not https"},
		"keys with a password":      {document(fmt.Sprintf(`{"issuer": %q, "jwks_uri": "https://u:hunter2@127.0.0.1/jwks"}`, p.URL)), "user information"},
		"issuer twice":              {document(fmt.Sprintf(`{"issuer": "https://evil.example", "issuer": %q, "jwks_uri": "https://evil.example"}`, p.URL)), "issuer"},
		"garbage":                   {keys("\x00\x01"), "is it a JWKS?"},
		"null":                      {keys("null"), "is it a JWKS?"},
		"a list":                    {keys("[]"), "is it a JWKS?"},
		"no list":                   {keys(`{"keys": 1}`), "is it a JWKS?"},
		"half a set":                {keys(jwks("rsa")[:100]), "is it a JWKS?"},
		"no keys":                   {keys(`{"keys": []}`), "none of its 0 keys can be used"},
		"too many keys":             {keys(`{"keys": [` + strings.Repeat("{},", 100) + `{}]}`), "it has 101 keys"},
		"depth":                     {keys(`{"keys": ` + strings.Repeat("[", 100_000)), "is it a JWKS?"},
		"an endless set":            {func(w http.ResponseWriter, r *http.Request) { keys(`{"keys": [`)(w, r); endless(w) }, "larger than 1024 KiB"},
		"a broken connection":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		p.say(test.answer)
		until(t, name, func() bool { err := i.Status().Err; return err != nil && strings.Contains(err.Error(), test.want) })
		if s := i.Status(); !s.Ready || s.Keys != 1 {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := c.Verify(p.token("p256")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(i.Status().Err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, i.Status().Err)
		}
		p.say(nil)
		until(t, "good again", func() bool { return i.Status().Err == nil })
	}
	if other.asked.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

func endless(w http.ResponseWriter) {
	line := bytes.Repeat([]byte(" "), 64<<10)
	for range 64 {
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

func TestAServerThatNeverAnswersHoldsNobodyUp(t *testing.T) {
	p := newProvider(t, "")
	stuck := make(chan struct{})
	p.say(func(_ http.ResponseWriter, r *http.Request) { close(stuck); <-r.Context().Done() })
	i, stop := run(t, p.config())
	c := callers(t, i)
	<-stuck
	began := time.Now()
	if _, err := c.Verify(p.token("p256")); reason(t, err) != authn.ReasonKeysUnavailable {
		t.Error(err)
	}
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if s := i.Status(); s.Err != nil {
		t.Errorf("the end was taken for a failure: %v", s.Err)
	}
}

func TestServersAreTrustedByTheirCAOnly(t *testing.T) {
	p := newProvider(t, jwks("p256"))
	for name, change := range map[string]func(*workload.Config){
		"the system's CAs": func(c *workload.Config) { c.CAFile = "" },
		"another clock":    func(c *workload.Config) { c.Clock = func() time.Time { return time.Now().AddDate(200, 0, 0) } },
		"another name":     func(c *workload.Config) { c.Issuer = strings.Replace(c.Issuer, "127.0.0.1", "localhost", 1) },
	} {
		config := p.config()
		change(&config)
		i, stop := run(t, config)
		until(t, name, func() bool { return i.Status().Err != nil })
		if err := i.Status().Err; !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", name, err)
		}
		stop()
	}
}

func TestTheTokenForKeysIsShownToTheIssuersOriginOnly(t *testing.T) {
	other := newProvider(t, jwks("p256"))
	p := newProvider(t, jwks("p256"))
	config := p.config()
	config.BearerTokenFile = write(t, filepath.Join(t.TempDir(), "token"), "canary-1\n")
	i, stop := run(t, config)
	until(t, "ready", func() bool { return i.Status().Ready })
	write(t, config.BearerTokenFile, "canary-2\n")
	until(t, "the new token", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return slices.Contains(p.shown, "Bearer canary-2") })
	if slices.Contains(p.shown, "") {
		t.Errorf("shown %q", p.shown)
	}
	p.say(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": "%s/openid/v1/jwks"}`, p.URL, other.URL)
	})
	until(t, "keys elsewhere", func() bool { return other.asked.Load() > 0 })
	stop()
	if strings.Join(other.shown, "") != "" {
		t.Errorf("shown elsewhere: %q", other.shown)
	}
	config.JWKSURL = other.URL + "/openid/v1/jwks" // what the configuration names may see it
	i, _ = run(t, config)
	until(t, "ready", func() bool { return i.Status().Ready })
	if !strings.Contains(strings.Join(other.shown, ""), "canary-2") {
		t.Errorf("shown %q", other.shown)
	}
}
