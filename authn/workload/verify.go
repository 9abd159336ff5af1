package workload

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/zproxy/zproxy/authn"
)

// Verify returns the caller that a token names, from memory alone. A token is
// taken if
//
//   - it is a JWS in compact form (RFC 7515 section 7.1) of at most 16 KiB,
//     strictly encoded, with no member twice and no crit;
//   - iss is one of the issuers, byte for byte;
//   - kid selects exactly one key of that issuer, which is made for alg: RS256 to
//     RS512 and PS256 to PS512 with 2048 bits or more, ES256, ES384 and ES512
//     with their curve, or EdDSA with Ed25519;
//   - the signature is that key's;
//   - aud is or contains the issuer's audience;
//   - exp is still to come; nbf and iat, if there, are not, give or take 10 s;
//     and exp is at most 24 hours after iat, or after now without iat;
//   - sub can be part of a caller; see [authn.JWT].
//
// The error is an [*authn.Error] with one of this package's reasons, or with
// [authn.ReasonKeysUnavailable].
func (c *Callers) Verify(token string) (authn.Caller, error) {
	if err := checkForm(token); err != nil {
		return authn.Caller{}, err
	}
	sum := sha256.Sum256([]byte(token))
	p := c.proofs.find(sum)
	known := p != nil
	if !known {
		var err error
		if p, err = c.prove(token); err != nil {
			return authn.Caller{}, err
		}
	}
	if err := p.said.check(p.by.audience, p.by.clock()); err != nil {
		return authn.Caller{}, err
	}
	if !known {
		var err error
		if p.caller, err = authn.JWT(p.by.name, p.said.Subject); err != nil {
			return authn.Caller{}, refuse(ReasonSubject, "its sub names no caller: %s", err)
		}
		c.proofs.keep(sum, p)
	}
	return p.caller, nil
}

// prove checks whose a token is, and not yet what it says.
func (c *Callers) prove(token string) (*proof, error) {
	h, err := readHeader(token)
	if err != nil {
		return nil, err
	}
	p := new(proof)
	_, err = c.parser.ParseWithClaims(token, &p.said, func(t *jwt.Token) (any, error) {
		by, known := c.issuers[p.said.Issuer]
		if !known {
			return nil, refuse(ReasonIssuer, "its iss is %.200q, which is no issuer of this listener's, byte for byte; use a token of another issuer, or add this one", p.said.Issuer)
		}
		p.by = by
		var public any
		public, p.keys, err = by.key(h.kid, t.Method.Alg())
		return public, err
	})
	if err != nil {
		return nil, explain(err)
	}
	return p, nil
}

// key returns the key that kid selects, if alg is one that it is made for, and
// the set that it is of.
func (i *Issuer) key(kid, alg string) (public any, of *keySet, err error) {
	st := i.state.Load()
	if !st.serves(i.clock()) {
		return nil, nil, refuse(authn.ReasonKeysUnavailable, "the keys of issuer %q are not known; try again soon, and have zproxy's operator look into its log", i.name)
	}
	if kid == "" {
		return nil, nil, refuse(ReasonKeyUnknown, "it does not say by kid which key has signed it; use an issuer that does")
	}
	k, ok := st.keys.find(kid)
	switch {
	case !ok:
		i.wish()
		return nil, nil, refuse(ReasonKeyUnknown, "issuer %q has no key %.80q, or none yet; try again soon, or get a new token", i.name, kid)
	case k.fault != "":
		return nil, nil, refuse(ReasonKeyUnknown, "key %.80q of issuer %q cannot be used: %s; have the issuer sign with another", kid, i.name, k.fault)
	case !slices.Contains(k.algorithms, alg):
		return nil, nil, refuse(ReasonAlgorithm, "key %.80q of issuer %q is for %s, not for %s; have the issuer sign with that", kid, i.name, strings.Join(k.algorithms, ", "), alg)
	}
	return k.public, st.keys, nil
}

// explain gives an error of the parser the reason that belongs to it.
func explain(err error) error {
	if refused, ok := errors.AsType[*authn.Error](err); ok {
		return refused
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refuse(ReasonMalformed, "it cannot be read: %.200s; send the token as the issuer made it", err)
	case errors.Is(err, jwt.ErrTokenUnverifiable), strings.Contains(err.Error(), "signing method"):
		return refuse(ReasonAlgorithm, "its alg is not taken; have it signed with one of %s", strings.Join(algorithms(), ", "))
	}
	return refuse(ReasonSignature, "its signature is not the issuer's; send the token as the issuer made it")
}
