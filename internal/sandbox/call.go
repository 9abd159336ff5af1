package sandbox

import (
	"crypto/rsa"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// call is one API call after ZITADEL's own checks.
type call struct {
	*Sandbox
	operation    string
	user         *user // nil for system users
	system       string
	organization string
}

// problem is an error as ZITADEL tells it.
type problem struct {
	code    int // gRPC status code
	id      string
	message string
}

func (p *problem) text() string {
	if p.id == "" {
		return p.message
	}
	return p.message + " (" + p.id + ")"
}

// begin finds instance, user and organization of a call. A REST call is looked
// at twice inside ZITADEL, the second time with headers turned into gRPC
// metadata: there a caller's Grpc-Metadata-* can win.
func (s *Sandbox) begin(operation string, r *http.Request, rest bool) (*call, *problem) {
	host := instanceHost(r)
	if inner := r.Header.Get("Grpc-Metadata-X-Forwarded-Host"); rest && inner != "" {
		host = inner
	}
	if !s.owns(host) {
		return nil, &problem{5, "QUERY-1kIjX", "unable to set instance using origin " + host}
	}
	authorization := lottery(r.Header, "Authorization", rest)
	if authorization == "" {
		code := 16
		if strings.Contains(operation, ".v1.") {
			code = 2
		}
		return nil, &problem{code, "", "auth header missing"}
	}
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return nil, &problem{16, "AUTH-toLo1", "invalid auth header"}
	}
	c := &call{Sandbox: s, operation: operation, organization: lottery(r.Header, "X-Zitadel-Orgid", rest)}
	if c.user, ok = s.bearer(token); !ok {
		if c.system = s.systemUser(token); c.system == "" {
			return nil, &problem{16, "AUTH-7fs1e", "Errors.Token.Invalid"}
		}
	}
	if c.organization != "" && !s.hasOrganization(c.organization) {
		return nil, &problem{7, "AUTH-Bs7Ds", "Organisation doesn't exist"}
	}
	if c.organization == "" && c.user != nil {
		c.organization = c.user.organization
	}
	return c, nil
}

// lottery is a header's value as ZITADEL sees it: the first of several, and on
// REST now and then the one that Grpc-Metadata-* smuggled in.
func lottery(h http.Header, name string, rest bool) string {
	own, inner := h.Get(name), h.Get("Grpc-Metadata-"+name)
	if rest && inner != "" && (own == "" || rand.IntN(100) < 15) {
		return inner
	}
	return own
}

// instanceHost is the host that decides the instance; the first of these wins.
func instanceHost(r *http.Request) string {
	for _, v := range [...]string{
		r.Header.Get("X-Zitadel-Instance-Host"), forwardedHost(r.Header.Get("Forwarded")), forwardedHost(r.Header.Get("X-Zitadel-Forwarded")),
		forwardedHost(r.Header.Get("X-Forwarded-For")), r.Header.Get("X-Forwarded-Host"),
	} {
		if v != "" {
			return v
		}
	}
	return r.Host
}

func forwardedHost(v string) string {
	for part := range strings.SplitSeq(v, ";") {
		if host, ok := strings.CutPrefix(strings.TrimSpace(part), "host="); ok {
			return strings.Trim(host, `"`)
		}
	}
	return ""
}

func (s *Sandbox) owns(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return s.domains[host]
}

func (s *Sandbox) hasOrganization(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.hasOrganization(id)
}

// systemUser checks a self-signed JWT of a System API user; "" if it is none.
func (s *Sandbox) systemUser(token string) string {
	parsed, err := jwt.Parse(token, func(t *jwt.Token) (any, error) {
		name, err := t.Claims.GetIssuer()
		if err != nil {
			return nil, err
		}
		return s.systemKey(name)
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(s.issuer.String()), jwt.WithIssuedAt(), jwt.WithExpirationRequired())
	if err != nil {
		return ""
	}
	name, err := parsed.Claims.GetIssuer()
	issuedAt, err2 := parsed.Claims.GetIssuedAt()
	if err != nil || err2 != nil || issuedAt == nil || time.Since(issuedAt.Time) > time.Hour {
		return ""
	}
	return name
}

func (s *Sandbox) systemKey(name string) (*rsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := s.state.system[name]; key != nil {
		return key, nil
	}
	return nil, errors.New("no such system user")
}

// needs asks for one of the manager roles.
func (c *call) needs(roles ...string) *problem {
	switch {
	case c.user == nil:
		return nil // system users of the sandbox own everything
	case len(c.user.memberships) == 0:
		return &problem{5, "AUTHZ-cdgFk", "membership not found"}
	case !c.user.has(append(roles, "IAM_OWNER")...):
		return &problem{7, "AUTH-5mWD2", "No matching permissions found"}
	}
	return nil
}
