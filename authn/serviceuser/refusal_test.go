package serviceuser_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

const canarySecret = "canary-secret-Zq9"

func TestBadAnswersOfTheTokenEndpoint(t *testing.T) {
	long := strings.Repeat("a", 16<<10)
	ok := func(change string) http.HandlerFunc {
		return raw(200, "application/json", `{"access_token":"abc","token_type":"Bearer","expires_in":60`+change+`}`)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"huge body":    {raw(200, "application/json", `{"access_token":"`+strings.Repeat("a", 70<<10)), "longer than 64 KiB"},
		"huge refusal": {raw(400, "application/json", strings.Repeat("a", 70<<10)), "longer than 64 KiB"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "redirect (307), which is never followed"},
		"web page":          {raw(200, "text/html", "<html>"), "answer is not JSON"},
		"form answer":       {raw(200, "application/x-www-form-urlencoded", "access_token=abc&token_type=Bearer&expires_in=60"), "answer is not JSON"},
		"no content type":   {raw(200, "", `{"access_token":"abc","token_type":"Bearer","expires_in":60}`), "answer is not JSON"},
		"created":           {raw(201, "application/json", `{"access_token":"abc","token_type":"Bearer","expires_in":60}`), "status 201 instead of 200"},
		"empty":             {raw(200, "application/json", ""), "damaged JSON"},
		"cut off":           {raw(200, "application/json", `{"access_token":"abc`), "damaged JSON"},
		"an array":          {raw(200, "application/json", `[]`), "damaged JSON"},
		"error in a 200":    {ok(`,"error":"server_error"`), "status 200"},
		"no token":          {ok(`,"access_token":""`), "damaged JSON"},
		"MAC token":         {ok(`,"token_type":"mac"`), "no token of type Bearer"},
		"no token type":     {ok(`,"token_type":""`), "no token of type Bearer"},
		"header injection":  {ok(`,"access_token":"abc\r\nX-Evil: 1"`), "RFC 6750"},
		"space in token":    {ok(`,"access_token":"abc def"`), "RFC 6750"},
		"non-ASCII token":   {ok(`,"access_token":"abé"`), "RFC 6750"},
		"padding inside":    {ok(`,"access_token":"a=b"`), "RFC 6750"},
		"only padding":      {ok(`,"access_token":"=="`), "no characters but ="},
		"long token":        {ok(`,"access_token":"` + long + `a"`), "longer than 16 KiB"},
		"no lifetime":       {ok(`,"expires_in":null`), "does not say when"},
		"lifetime 0":        {ok(`,"expires_in":0`), "already ended"},
		"negative lifetime": {ok(`,"expires_in":-5`), "already ended"},
		"lifetime a word":   {ok(`,"expires_in":"soon"`), "damaged JSON"},
		"lifetime a list":   {ok(`,"expires_in":[60]`), "damaged JSON"},
		"server_error":      {refuse(500, "server_error", "Errors.Internal"), "fault of its own: server_error Errors.Internal"},
		"locked user":       {refuse(400, "invalid_request", "Errors.User.NotActive"), "locked or deactivated"},
		"no secret":         {refuse(400, "invalid_request", "Errors.User.Machine.Secret.NotExisting"), "has no client secret"},
		"wrong secret":      {refuse(400, "invalid_request", "Errors.User.Machine.Secret.Invalid"), "refused the client secret"},
		"unknown client":    {refuse(400, "invalid_client", "client not found"), "knows no such client"},
		"bad grant":         {refuse(400, "invalid_grant", "x"), "refused the credential"},
		"unknown grant":     {refuse(400, "unsupported_grant_type", "x"), "does not take this kind"},
		"bad scope":         {refuse(400, "invalid_scope", "x"), "refused the scopes"},
		"faulty request":    {refuse(400, "invalid_request", "x"), "as faulty"},
		"new refusal":       {refuse(418, "teapot", "x"), "status 418: teapot"},
		"HTML refusal":      {raw(500, "text/html", "<html>"), "status 500"},
		"wrong instance":    {raw(404, "text/plain", "unable to set instance using origin"), "no instance of the issuer's host; set upstream.issuer"},
		"wrong path":        {raw(404, "text/plain", "404 page not found"), "not found (404); check upstream.issuer"},
		"gateway down":      {raw(502, "text/html", "<html>"), "not available at the moment (502)"},
		"not up yet":        {raw(503, "application/json", `{"code":14}`), "not available at the moment (503)"},
		"too many":          {raw(429, "application/json", `{"code":8}`), "fewer requests (429)"},
		"echo in text":      {refuse(400, "invalid_request", "bad secret "+canarySecret), "as faulty"},
		"echo in code":      {refuse(400, canarySecret, ""), "status 400"},
		"echo in name":      {refuse(400, "x", "Errors."+canarySecret), "status 400"},
		"echo in lifetime":  {raw(200, "application/json", `{"access_token":"a","expires_in":"`+canarySecret+`"}`), "damaged JSON"},
		"echo in body":      {raw(400, "text/plain", canarySecret), "status 400"},
		"hangs up":          {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			z, cfg := serve(t)
			z.setAnswer(c.answer)
			events := make(chan serviceuser.Event, 8)
			cfg.Observe = func(e serviceuser.Event) { events <- e }
			s := mustNew(t, cfg, serviceuser.ClientCredentials("provisioner", writeFile(t, canarySecret)))
			stop := run(t, s)
			_, err := first(t, s)
			stop()
			var fe *serviceuser.FetchError
			if !errors.As(err, &fe) {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(fe.Error(), c.want) {
				t.Errorf("error %q, want %q", fe, c.want)
			}
			if e := <-events; e.Kind != serviceuser.FetchFailed || !errors.Is(e.Err, fe) || e.Next.IsZero() {
				t.Errorf("event %+v", e)
			}
			if tok, err := s.Token(); tok != nil || err == nil || !strings.Contains(err.Error(), fe.Reason) {
				t.Errorf("token %v, error %v", tok, err)
			}
			if all := fmt.Sprintf("%v|%+v|%#v|%v|%+v|%#v", err, err, err, fe, fe, fe); strings.Contains(all, canarySecret) {
				t.Errorf("the secret shows: %s", all)
			}
		})
	}
}

// Even a secret that looks like one of ZITADEL's error names is not repeated,
// nor is a piece of any other.
func TestEchoesOfASecretAreNotRepeated(t *testing.T) {
	for secret, answer := range map[string]http.HandlerFunc{
		"letmein_please":   refuse(400, "letmein_please", ""),
		"Errors.Of.Humans": refuse(400, "x", "Errors.Of.Humans"),
		canarySecret:       refuse(400, "x", "refused: "+canarySecret[:10]),
	} {
		z, cfg := serve(t)
		z.setAnswer(answer)
		s := mustNew(t, cfg, serviceuser.ClientCredentials("provisioner", writeFile(t, secret)))
		run(t, s)
		_, err := first(t, s)
		if err == nil {
			t.Fatal("a token came from a refusal")
		}
		if all := fmt.Sprint(err, errors.Unwrap(err)); strings.Contains(all, secret[:10]) {
			t.Errorf("%q shows in %q", secret[:10], all)
		}
	}
}

// ZITADEL reports a fault of its own when an assertion does not please it.
func TestARefusedAssertionIsNamedAsWhatItMayBe(t *testing.T) {
	z, cfg := serve(t)
	z.setAnswer(refuse(500, "server_error", "Errors.Internal"))
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
	run(t, s)
	_, err := first(t, s)
	const want = "fetching an access token: ZITADEL reports a fault of its own, or it refused the assertion: server_error Errors.Internal; check this machine's clock, that upstream.issuer"
	if err == nil || !strings.HasPrefix(errors.Unwrap(err).Error(), want) {
		t.Errorf("error %v (%v)", err, errors.Unwrap(err))
	}
}

func TestLifetimesThatSomeServersWrite(t *testing.T) {
	for text, want := range map[string]time.Duration{`60`: time.Minute, `"60"`: time.Minute, `99999999999`: 366 * 24 * time.Hour} {
		z, cfg := serve(t)
		z.setAnswer(raw(200, "application/json; charset=utf-8", `{"access_token":"abc","token_type":"bearer","expires_in":`+text+`}`))
		s := mustNew(t, cfg, serviceuser.ClientCredentials("provisioner", writeFile(t, "x")))
		run(t, s)
		tok := mustFirst(t, s)
		if d := time.Until(tok.Expiry); d > want || d < want-5*time.Second {
			t.Errorf("expires_in %s: %v", text, d)
		}
		if tok.Authorization[0] != "Bearer abc" {
			t.Errorf("Authorization %q: ZITADEL takes the scheme in exactly this spelling", tok.Authorization[0])
		}
	}
}

func TestRedirectTargetNeverSeesTheCredential(t *testing.T) {
	thief, _ := serve(t)
	z, cfg := serve(t)
	_, other := serve(t)
	thief.setAnswer(grantToken("stolen", 60))
	z.setAnswer(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.Address.String()+"/oauth/v2/token", http.StatusPermanentRedirect)
	})
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
	run(t, s)
	if _, err := first(t, s); err == nil {
		t.Error("a redirected answer was taken")
	}
	if n := thief.requests.Load(); n != 0 {
		t.Errorf("%d requests followed", n)
	}
}

func TestClocksThatDifferAreNamed(t *testing.T) {
	for off, want := range map[time.Duration]string{
		30 * time.Second:  "this machine's clock is 30s ahead of the server's",
		-90 * time.Second: "this machine's clock is 1m30s behind the server's",
	} {
		_, cfg := serve(t)
		cfg.Clock = func() time.Time { return time.Now().Add(off) }
		s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
		run(t, s)
		_, err := first(t, s)
		if err == nil {
			t.Fatal("an assertion of another time was taken")
		}
		got := errors.Unwrap(err).Error()
		// The header has whole seconds, and so the difference may round away.
		if near := strings.NewReplacer("31s", "30s", "29s", "30s").Replace(got); !strings.Contains(near, want) {
			t.Errorf("error %q, want %q", got, want)
		}
	}
}

func TestUnreachableEndpoints(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := silent.Addr().String()
	_ = silent.Close()
	plain, cfg := serve(t)
	plain.setAnswer(grantToken("x", 60))
	for address, want := range map[string]string{
		"http://" + closed:            "cannot be reached: dial tcp " + closed,
		"https://" + cfg.Address.Host: "does not speak TLS",
	} {
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Address: mustURL(t, address)},
			serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
		run(t, s)
		_, err := first(t, s)
		if err == nil || !strings.Contains(errors.Unwrap(err).Error(), want) {
			t.Errorf("%s: error %v (%v), want %q", address, err, errors.Unwrap(err), want)
		}
		if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("the text for callers holds an address: %v", err)
		}
	}
}

// A server that is no HTTP server can send back what it was sent.
func TestGarbageFromTheNetworkIsNotRepeated(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096)) // what is in it does not matter
			_, _ = c.Write([]byte(canarySecret + "\r\n\r\n"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Address: mustURL(t, "http://"+ln.Addr().String())},
		serviceuser.ClientCredentials("x", writeFile(t, canarySecret)))
	run(t, s)
	_, err = first(t, s)
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v %v", err, err, err, errors.Unwrap(err)), canarySecret) {
		t.Errorf("error %v (%v)", err, errors.Unwrap(err))
	}
}

func TestNextIsBoundedByItsContext(t *testing.T) {
	_, cfg := serve(t)
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil)))) // never run
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Next(ctx, nil)
	var ue *serviceuser.UnavailableError
	if !errors.As(err, &ue) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
