package sandbox

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// storage is the provider's view of the state: machine users and their keys
// and secrets. People do not log in here; what only a login needs is an error.
type storage struct {
	s   *Sandbox
	key *rsa.PrivateKey
}

var errNoLogin = errors.New("the sandbox has no login")

// issue makes an access token.
func (t *storage) issue(userID string, scopes []string) (string, time.Time, error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	u := t.s.state.user(userID)
	if u == nil || u.locked {
		return "", time.Time{}, oidc.ErrInvalidRequest().WithDescription("Errors.User.NotActive")
	}
	id := t.s.state.id()
	expiry := time.Now().Add(t.s.lifetime)
	t.s.state.tokens[id] = issued{user: userID, scopes: scopes, expiry: expiry}
	return id, expiry, nil
}

func (t *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	return t.issue(r.GetSubject(), r.GetScopes())
}

func (t *storage) GetKeyByIDAndClientID(_ context.Context, keyID, userID string) (*jose.JSONWebKey, error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	u := t.s.state.user(userID)
	if u == nil || u.keys[keyID].public == nil || !time.Now().Before(u.keys[keyID].expiry) {
		return nil, fmt.Errorf("user %s has no key %s", userID, keyID)
	}
	return &jose.JSONWebKey{KeyID: keyID, Use: "sig", Key: u.keys[keyID].public}, nil
}

func (t *storage) ValidateJWTProfileScopes(_ context.Context, _ string, scopes []string) ([]string, error) {
	return scopes, nil
}

func (t *storage) ClientCredentials(_ context.Context, clientID, secret string) (op.Client, error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	u := t.s.state.userNamed(clientID)
	switch {
	case u == nil:
		return nil, oidc.ErrInvalidClient().WithDescription("client not found")
	case u.secret == "" || u.secret != secret:
		return nil, oidc.ErrInvalidRequest().WithDescription("Errors.User.Machine.Secret.Invalid")
	}
	return client{id: clientID}, nil
}

func (t *storage) ClientCredentialsTokenRequest(_ context.Context, clientID string, scopes []string) (op.TokenRequest, error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if len(scopes) == 0 {
		return nil, oidc.ErrInvalidRequest().WithDescription("Errors.Scope.Empty")
	}
	return &oidc.JWTTokenRequest{Subject: t.s.state.userNamed(clientID).id, Scopes: scopes}, nil
}

func (t *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, tokenID, subject, _ string) error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	u := t.s.state.user(subject)
	if held, ok := t.s.state.tokens[tokenID]; !ok || u == nil || time.Now().After(held.expiry) {
		return oidc.ErrAccessDenied().WithDescription("access token invalid")
	}
	info.Subject, info.PreferredUsername, info.Name = u.id, u.name, u.display()
	return nil
}

func (t *storage) SetIntrospectionFromToken(_ context.Context, info *oidc.IntrospectionResponse, tokenID, subject, clientID string) error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if held, ok := t.s.state.tokens[tokenID]; ok && time.Now().Before(held.expiry) {
		info.Active, info.Subject, info.ClientID = true, subject, clientID
		info.Expiration = oidc.FromTime(held.expiry)
	}
	return nil
}

func (t *storage) AuthorizeClientIDSecret(ctx context.Context, clientID, secret string) error {
	_, err := t.ClientCredentials(ctx, clientID, secret)
	return err
}

func (t *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if t.s.state.userNamed(id) == nil {
		return nil, fmt.Errorf("client %s not found", id)
	}
	return client{id: id}, nil
}

func (t *storage) SigningKey(context.Context) (op.SigningKey, error) { return signingKey{t.key}, nil }
func (t *storage) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{publicKey{signingKey{t.key}}}, nil
}
func (t *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}
func (t *storage) Health(context.Context) error { return nil }

func (t *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}
func (t *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}
func (t *storage) CreateAuthRequest(context.Context, *oidc.AuthRequest, string) (op.AuthRequest, error) {
	return nil, errNoLogin
}
func (t *storage) AuthRequestByID(context.Context, string) (op.AuthRequest, error) {
	return nil, errNoLogin
}
func (t *storage) AuthRequestByCode(context.Context, string) (op.AuthRequest, error) {
	return nil, errNoLogin
}
func (t *storage) SaveAuthCode(context.Context, string, string) error     { return errNoLogin }
func (t *storage) DeleteAuthRequest(context.Context, string) error        { return errNoLogin }
func (t *storage) TerminateSession(context.Context, string, string) error { return errNoLogin }
func (t *storage) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, errNoLogin
}
func (t *storage) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, errNoLogin
}
func (t *storage) RevokeToken(context.Context, string, string, string) *oidc.Error {
	return oidc.ErrInvalidClient()
}
func (t *storage) GetRefreshTokenInfo(context.Context, string, string) (string, string, error) {
	return "", "", op.ErrInvalidRefreshToken
}

// client is a machine user as the provider sees it.
type client struct{ id string }

func (c client) GetID() string                       { return c.id }
func (c client) RedirectURIs() []string              { return nil }
func (c client) PostLogoutRedirectURIs() []string    { return nil }
func (c client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c client) ResponseTypes() []oidc.ResponseType  { return nil }
func (c client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}
func (c client) LoginURL(string) string               { return "" }
func (c client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeBearer }
func (c client) IDTokenLifetime() time.Duration       { return time.Hour }
func (c client) DevMode() bool                        { return true }
func (c client) IsScopeAllowed(string) bool           { return true }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return false }
func (c client) ClockSkew() time.Duration             { return 0 }
func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

func (u *user) display() string {
	if u.machine {
		return u.name
	}
	return u.first + " " + u.last
}
