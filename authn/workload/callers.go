package workload

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/golang-jwt/jwt/v5"

	"github.com/zproxy/zproxy/authn"
)

// Callers names whoever shows a token of one of several issuers. It is safe for
// concurrent use.
type Callers struct {
	sources authn.Sources
	issuers map[string]*Issuer // by what they are called in iss
	parser  *jwt.Parser
	proofs  proofs
}

// NewCallers returns the callers of a listener. At least one issuer is needed;
// no two have one name, or one iss: a token would have two readings.
func NewCallers(from authn.Sources, issuers ...*Issuer) (*Callers, error) {
	if len(issuers) == 0 {
		return nil, errors.New("making callers of bearer_jwt: no issuer is there; add one")
	}
	c := &Callers{
		sources: from, issuers: make(map[string]*Issuer),
		// Claims are checked by ours: the library's leeway would hold for exp too.
		parser: jwt.NewParser(jwt.WithValidMethods(algorithms()), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
	}
	names := make(map[string]bool)
	for _, i := range issuers {
		if names[i.name] || c.issuers[i.issuer] != nil {
			return nil, fmt.Errorf("making callers of bearer_jwt: the name or the issuer of %q is there already; give each issuer once", i.name)
		}
		names[i.name], c.issuers[i.issuer] = true, i
	}
	return c, nil
}

// Authenticate implements [authn.Authenticator]. A browser is no caller. The
// token is consumed: whether it is good or not, r has no Authorization
// afterwards, so that nothing can send it on.
func (c *Callers) Authenticate(r *http.Request) (authn.Identity, error) {
	shown := r.Header["Authorization"]
	delete(r.Header, "Authorization")
	id := authn.Identity{Peer: authn.Peer(r)}
	if err := c.sources.Check(r); err != nil {
		return id, err
	}
	if err := authn.CheckBrowser(r.Header); err != nil {
		return id, err
	}
	token, err := bearer(shown)
	if err != nil {
		return id, err
	}
	id.Caller, err = c.Verify(token)
	return id, err
}
