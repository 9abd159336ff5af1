package serviceuser_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

const issuer = "https://id.example.com"

// serve starts the stand-in on loopback; the issuer differs from the address,
// as behind an internal name.
func serve(t *testing.T) (*zitadel, serviceuser.Config) {
	t.Helper()
	z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
	srv := httptest.NewServer(z)
	t.Cleanup(srv.Close)
	return z, serviceuser.Config{Name: "reader", Issuer: mustURL(t, issuer), Address: mustURL(t, srv.URL)}
}

// run runs the source until the test ends.
func run(t *testing.T, s *serviceuser.Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func first(t *testing.T, s *serviceuser.Source) (*serviceuser.Token, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.Next(ctx, nil)
}

func mustFirst(t *testing.T, s *serviceuser.Source) *serviceuser.Token {
	t.Helper()
	tok, err := first(t, s)
	if err != nil {
		t.Fatalf("no token: %v (%v)", err, errors.Unwrap(err))
	}
	return tok
}

func TestPrivateKeyJWTProvesTheUserToTheIssuer(t *testing.T) {
	for name, key := range map[string]string{"PKCS#1": pkcs1(testKey()), "PKCS#8": pkcs8(t, testKey())} {
		t.Run(name, func(t *testing.T) {
			z, cfg := serve(t)
			s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, map[string]any{"key": key}))))
			run(t, s)
			tok := mustFirst(t, s)
			if got := tok.Authorization[0]; got != "Bearer opaque-1" {
				t.Errorf("Authorization %q", got)
			}
			if tok.Generation != 1 || time.Until(tok.Expiry) > 43199*time.Second || time.Until(tok.Expiry) < 43190*time.Second {
				t.Errorf("generation %d, expiry in %v", tok.Generation, time.Until(tok.Expiry))
			}
			if s.UserID() != "287345091734012345" || z.lastKID() != "key-1" {
				t.Errorf("user %q, kid %q", s.UserID(), z.lastKID())
			}
			if _, sent := z.lastForm()["client_id"]; sent {
				t.Error("a client_id was sent beside the assertion")
			}
			if st := s.Status(); !st.Ready || st.Err != nil || st.Generation != 1 || st.CredentialExpiry.Year() != 2999 {
				t.Errorf("status %+v", st)
			}
		})
	}
}

func TestClientCredentialsTravelInTheForm(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n"} {
		_, cfg := serve(t)
		s := mustNew(t, cfg, serviceuser.ClientCredentials("provisioner", writeFile(t, "s3cret/+ value"+end)).WithUserID("42"))
		run(t, s)
		mustFirst(t, s)
		if s.UserID() != "42" {
			t.Errorf("user %q", s.UserID())
		}
	}
}

func TestPersonalAccessTokenNeedsNoRequest(t *testing.T) {
	z, cfg := serve(t)
	s := mustNew(t, cfg, serviceuser.PersonalAccessToken(writeFile(t, "pat_a-b.c~d+e/f==\n")))
	run(t, s)
	tok := mustFirst(t, s)
	if tok.Authorization[0] != "Bearer pat_a-b.c~d+e/f==" || !tok.Expiry.IsZero() {
		t.Errorf("token %q, expiry %v", tok.Authorization[0], tok.Expiry)
	}
	if n := z.requests.Load(); n != 0 {
		t.Errorf("%d token requests", n)
	}
}

func TestSystemUserSignsItsOwnToken(t *testing.T) {
	s := mustNew(t, serviceuser.Config{}, serviceuser.SystemUser("platform", writeFile(t, pkcs8(t, testKey())), issuer))
	run(t, s)
	tok := mustFirst(t, s)
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(strings.TrimPrefix(tok.Authorization[0], "Bearer "), claims,
		func(*jwt.Token) (any, error) { return &testKey().PublicKey, nil }, jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer("platform"), jwt.WithSubject("platform"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		t.Fatal(err)
	}
	if aud, ok := claims["aud"].(string); !ok || aud != issuer {
		t.Errorf("aud %v, want exactly the configured origin", claims["aud"])
	}
	if kid, ok := parsed.Header["kid"]; ok {
		t.Errorf("kid %v: System API tokens have none", kid)
	}
	iat, _ := claims.GetIssuedAt()
	exp, _ := claims.GetExpirationTime()
	if age := time.Since(iat.Time); age < 4*time.Second || exp.Sub(iat.Time) != time.Hour || !tok.Expiry.Equal(exp.Time) {
		t.Errorf("iat %v old, lifetime %v, expiry %v", age, exp.Sub(iat.Time), tok.Expiry)
	}
}

func TestTheIssuerIsWrittenAsZITADELWritesOrigins(t *testing.T) {
	z, cfg := serve(t)
	cfg.Issuer = mustURL(t, "https://ID.Example.com:443/")
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
	run(t, s)
	mustFirst(t, s)
	if z.requests.Load() != 1 {
		t.Errorf("%d requests", z.requests.Load())
	}
}

func TestTLSIsVerifiedAgainstTheIssuersName(t *testing.T) {
	z := &zitadel{t: t, audience: "https://example.com", host: "example.com"}
	srv := httptest.NewTLSServer(z)
	t.Cleanup(srv.Close)
	cfg := serviceuser.Config{Issuer: mustURL(t, "https://example.com"), Address: mustURL(t, srv.URL)}
	file := writeFile(t, keyJSON(t, nil))

	trusting := srv.Client().Transport.(*http.Transport).Clone()
	trusting.TLSClientConfig.ServerName = "example.com"
	trusting.DisableKeepAlives = true
	cfg.Transport = trusting
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(file))
	run(t, s)
	mustFirst(t, s)

	cfg.Transport = nil // the system's trust does not cover the test's CA
	s = mustNew(t, cfg, serviceuser.PrivateKeyJWT(file))
	run(t, s)
	_, err := first(t, s)
	var fe *serviceuser.FetchError
	if !errors.As(err, &fe) || !strings.Contains(fe.Error(), "certificate is not trusted") {
		t.Errorf("error %v (%v)", err, errors.Unwrap(err))
	}
	if z.requests.Load() != 1 {
		t.Errorf("%d requests arrived", z.requests.Load())
	}
}
