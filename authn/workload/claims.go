package workload

import (
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	leeway      = 10 * time.Second // that another machine's clock may be ahead
	maxLifetime = 24 * time.Hour   // a token that leaked serves no longer
)

// claims are those that are looked at.
type claims struct{ jwt.RegisteredClaims }

// UnmarshalJSON reads the claims strictly. The library would take the last of
// several members of one name, and dates that no clock has.
func (c *claims) UnmarshalJSON(text []byte) (err error) {
	all, err := members(text)
	if err != nil {
		return refuse(ReasonMalformed, "the JSON of its claims %s; send the token as the issuer made it", err)
	}
	var faults [6]error
	c.Issuer, faults[0] = all.text("iss")
	c.Subject, faults[1] = all.text("sub")
	c.Audience, faults[2] = all.oneOrMore("aud")
	c.ExpiresAt, faults[3] = all.date("exp")
	c.NotBefore, faults[4] = all.date("nbf")
	c.IssuedAt, faults[5] = all.date("iat")
	if i := slices.IndexFunc(faults[:], func(err error) bool { return err != nil }); i >= 0 {
		return refuse(ReasonMalformed, "its %s; use a token as RFC 7519 section 4.1 has it", faults[i])
	}
	return nil
}

// check wants a token for the audience that holds now.
func (c *claims) check(audience string, now time.Time) error {
	if !slices.Contains(c.Audience, audience) {
		return refuse(ReasonAudience, "its aud %.200q does not contain %q; ask the issuer for a token with that audience", []string(c.Audience), audience)
	}
	begin := now
	switch {
	case c.ExpiresAt == nil:
		return refuse(ReasonLifetime, "it has no exp and would live for ever; use a token that ends")
	case !now.Before(c.ExpiresAt.Time):
		return refuse(ReasonExpired, "it ended %s; get a new one before it ends", when(c.ExpiresAt))
	case c.NotBefore != nil && c.NotBefore.After(now.Add(leeway)):
		return refuse(ReasonNotYetValid, "it begins %s; check the clocks of the issuer and of zproxy", when(c.NotBefore))
	case c.IssuedAt != nil && c.IssuedAt.After(now.Add(leeway)):
		return refuse(ReasonNotYetValid, "it was issued %s, which is still to come; check the clocks of the issuer and of zproxy", when(c.IssuedAt))
	case c.IssuedAt != nil:
		begin = c.IssuedAt.Time
	}
	if life := c.ExpiresAt.Sub(begin); life > maxLifetime {
		return refuse(ReasonLifetime, "it lives for %s; %s are the most: ask the issuer for one that ends sooner", life.Round(time.Second), maxLifetime)
	}
	return nil
}

func when(d *jwt.NumericDate) string { return d.UTC().Format(time.RFC3339) }
