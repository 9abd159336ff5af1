package sandbox

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// scopeAPIs is the scope without which no API takes a token.
const scopeAPIs = "urn:zitadel:iam:org:project:id:zitadel:aud"

// provider is the OpenID provider with ZITADEL's paths and error shapes.
type provider struct {
	*op.Provider
	s *Sandbox
}

func (s *Sandbox) newProvider() (*provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	config := &op.Config{AuthMethodPost: true, AuthMethodPrivateKeyJWT: true, CodeMethodS256: true}
	if _, err := rand.Read(config.CryptoKey[:]); err != nil {
		return nil, err
	}
	p, err := op.NewProvider(config, &storage{s: s, key: key}, op.IssuerFromHost(""),
		op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)),
		op.WithCustomEndpoints(op.NewEndpoint("/oauth/v2/authorize"), op.NewEndpoint("/oauth/v2/token"), op.NewEndpoint("/oidc/v1/userinfo"),
			op.NewEndpoint("/oauth/v2/revoke"), op.NewEndpoint("/oidc/v1/end_session"), op.NewEndpoint("/oauth/v2/keys")),
		op.WithCustomIntrospectionEndpoint(op.NewEndpoint("/oauth/v2/introspect")),
		op.WithCustomDeviceAuthorizationEndpoint(op.NewEndpoint("/oauth/v2/device_authorization")),
	)
	if err != nil {
		return nil, err
	}
	s.provider = p
	return &provider{Provider: p, s: s}, nil
}

func (p *provider) serves(path string) bool {
	return strings.HasPrefix(path, "/oauth/v2/") || strings.HasPrefix(path, "/oidc/v1/") || path == "/.well-known/openid-configuration"
}

// ServeHTTP answers as ZITADEL does: every answer sets a cookie, a refused
// assertion is a server error, and a personal access token has a userinfo too.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Set-Cookie", "zitadel.useragent="+rand.Text()+"; Max-Age=31536000; HttpOnly")
	switch r.URL.Path {
	case "/oauth/v2/token":
		p.token(w, r)
	case "/oidc/v1/userinfo":
		p.userinfo(w, r)
	default:
		p.Provider.ServeHTTP(w, r)
	}
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.s.mu.Lock()
	p.s.faults.tokenRequests++
	status, delay := p.s.faults.tokenStatus, p.s.faults.tokenDelay
	p.s.mu.Unlock()
	wait(r.Context(), delay)
	if status != 0 {
		writeOAuth(w, status, "server_error", "Errors.Internal")
		return
	}
	answer := &held{header: w.Header()}
	_ = r.ParseForm() // the provider tells what is wrong with it
	p.Provider.ServeHTTP(answer, r)
	if answer.status >= 400 {
		p.refused(w, r, answer)
		return
	}
	w.WriteHeader(max(answer.status, http.StatusOK))
	_, _ = w.Write(answer.body.Bytes())
}

// refused tells a refusal with ZITADEL's statuses and texts.
func (p *provider) refused(w http.ResponseWriter, r *http.Request, answer *held) {
	id, _, basic := r.BasicAuth()
	if !basic {
		id = r.PostFormValue("client_id")
	}
	p.s.mu.Lock()
	known := p.s.state.userNamed(id) != nil
	p.s.mu.Unlock()
	switch {
	case strings.HasSuffix(r.PostFormValue("grant_type"), "jwt-bearer"):
		writeOAuth(w, http.StatusInternalServerError, "server_error", "Errors.Internal")
	case answer.status == http.StatusUnauthorized && known:
		writeOAuth(w, http.StatusBadRequest, "invalid_request", "Errors.User.Machine.Secret.Invalid")
	case answer.status == http.StatusUnauthorized:
		writeOAuth(w, http.StatusBadRequest, "invalid_client", "client not found")
	default:
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body.Bytes())
	}
}

// held is an answer that is looked at before it is given.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

func (p *provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.s.mu.Lock()
	u := p.s.state.user(p.s.state.pats[token].user)
	p.s.mu.Unlock()
	if u == nil {
		p.Provider.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"sub": u.id, "preferred_username": u.name})
}

func writeOAuth(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}

// HumanToken is an access token of a person's own, as a login would give it.
func (s *Sandbox) HumanToken(userID string) (string, error) {
	id, _, err := (&storage{s: s}).issue(userID, []string{"openid", "profile", scopeAPIs})
	if err != nil {
		return "", err
	}
	return op.CreateBearerToken(id, userID, s.provider.Crypto())
}

// bearer finds the user of an opaque access token or personal access token.
func (s *Sandbox) bearer(token string) (*user, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.state.pats[token]; ok {
		return s.state.user(p.user), time.Now().Before(p.expiry)
	}
	plain, err := s.provider.Crypto().Decrypt(token)
	if err != nil {
		return nil, false
	}
	id, _, _ := strings.Cut(plain, ":")
	t, ok := s.state.tokens[id]
	if !ok || time.Now().After(t.expiry) {
		return nil, false
	}
	for _, scope := range t.scopes {
		if scope == scopeAPIs {
			return s.state.user(t.user), true
		}
	}
	return nil, false
}

// signingKey is the provider's own key.
type signingKey struct{ key *rsa.PrivateKey }

func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Key() any                                    { return k.key }
func (k signingKey) ID() string                                  { return "sandbox" }

// publicKey is its public half.
type publicKey struct{ signingKey }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return &k.key.PublicKey }
