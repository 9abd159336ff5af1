package serviceuser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// zitadel plays the token endpoint, as strict as the real one.
type zitadel struct {
	t        testing.TB
	audience string // the origin that assertions must name
	host     string // the domain of the instance

	requests atomic.Int64
	inFlight atomic.Int64
	crowd    atomic.Int64 // most requests at once
	life     atomic.Int64 // seconds

	mu     sync.Mutex
	answer http.HandlerFunc // instead of a token, if set
	times  []time.Time
	kids   []string
	forms  []map[string][]string
}

func (z *zitadel) setAnswer(h http.HandlerFunc) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.answer = h
}

func (z *zitadel) requestTimes() []time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.times)
}

func (z *zitadel) lastForm() map[string][]string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.forms[len(z.forms)-1]
}

func (z *zitadel) lastKID() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.kids[len(z.kids)-1]
}

func (z *zitadel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := z.requests.Add(1)
	z.crowd.Store(max(z.crowd.Load(), z.inFlight.Add(1)))
	defer z.inFlight.Add(-1)
	if err := r.ParseForm(); err != nil {
		z.t.Errorf("parsing the form: %v", err)
	}
	z.mu.Lock()
	answer := z.answer
	z.times = append(z.times, time.Now())
	z.forms = append(z.forms, r.PostForm)
	z.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if r.Host != z.host {
		http.Error(w, "unable to set instance using origin "+r.Host, http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/oauth/v2/token" || r.URL.RawQuery != "" {
		z.t.Errorf("request line %s %s", r.Method, r.URL)
	}
	if got := r.PostForm.Get("scope"); got != "openid urn:zitadel:iam:org:project:id:zitadel:aud" {
		z.t.Errorf("scope %q", got)
	}
	switch r.PostForm.Get("grant_type") {
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		if err := z.verify(r.PostForm.Get("assertion")); err != nil {
			z.t.Logf("assertion refused: %v", err)
			refuse(500, "server_error", "Errors.Internal")(w, r)
			return
		}
	case "client_credentials":
		if r.PostForm.Get("client_id") != "provisioner" || r.PostForm.Get("client_secret") != "s3cret/+ value" {
			refuse(400, "invalid_request", "Errors.User.Machine.Secret.Invalid")(w, r)
			return
		}
	default:
		refuse(400, "unsupported_grant_type", "")(w, r)
		return
	}
	life := z.life.Load()
	if life == 0 {
		life = 43199
	}
	grantToken(fmt.Sprintf("opaque-%d", n), life)(w, r)
}

// verify checks an assertion as ZITADEL does.
func (z *zitadel) verify(assertion string) error {
	claims := jwt.MapClaims{}
	t, err := jwt.ParseWithClaims(assertion, claims, func(*jwt.Token) (any, error) { return &testKey().PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(z.audience), jwt.WithIssuer("287345091734012345"),
		jwt.WithSubject("287345091734012345"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return err
	}
	kid, _ := t.Header["kid"].(string)
	z.mu.Lock()
	z.kids = append(z.kids, kid)
	z.mu.Unlock()
	if !strings.HasPrefix(kid, "key-") {
		return fmt.Errorf("kid %q", kid)
	}
	iat, _ := claims.GetIssuedAt()
	exp, _ := claims.GetExpirationTime()
	if iat == nil || time.Since(iat.Time) < 4*time.Second || time.Since(iat.Time) > 8*time.Second {
		return fmt.Errorf("iat %v is not back-dated by about 5 s", iat)
	}
	if d := time.Until(exp.Time); d > 61*time.Second {
		return fmt.Errorf("exp in %v", d)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func grantToken(token string, life int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "zitadel.useragent=x")
		writeJSON(w, 200, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": life, "id_token": "x"})
	}
}

func refuse(status int, code, description string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, status, map[string]any{"error": code, "error_description": description})
	}
}

func raw(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}
