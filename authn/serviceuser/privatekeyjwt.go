package serviceuser

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	grantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 section 2.1

	// ZITADEL refuses an iat that is 3 s ahead of its clock. Back-dating costs
	// nothing: it accepts up to an hour of age.
	backdate = 5 * time.Second
	// The assertion can be replayed until it ends (ZITADEL does not look at
	// jti), so it lives just long enough for one slow request.
	assertionLife = 60 * time.Second
)

// PrivateKeyJWT authenticates with the key file that ZITADEL hands out for a
// service user: each token request carries an assertion signed with the key
// (RFC 7523). The path's file is read by [New] and watched by [Source.Run].
func PrivateKeyJWT(file string) Credential {
	return Credential{kind: "private_key_jwt", file: file, parse: func(content []byte, now time.Time) (minter, error) {
		k, err := ParseKeyFile(content)
		if err != nil {
			return nil, err
		}
		if !k.Expiry.IsZero() && !now.Before(k.Expiry) {
			return nil, fmt.Errorf("the key %s ended on %s; create a new one", k.KeyID, k.Expiry.UTC().Format(time.RFC3339))
		}
		return keyMinter{k}, nil
	}}
}

type keyMinter struct{ file *KeyFile }

func (m keyMinter) identity() (string, time.Time) { return m.file.UserID, m.file.Expiry }

func (m keyMinter) mint(ctx context.Context, e *endpoint, now time.Time) (issued, error) {
	at := e.time(now)
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": m.file.UserID,
		"sub": m.file.UserID,
		"aud": e.issuer, // the origin; ZITADEL refuses the token endpoint's URL
		"iat": at.Add(-backdate).Unix(),
		"exp": at.Add(assertionLife).Unix(),
	})
	t.Header["kid"] = m.file.KeyID
	signed, err := t.SignedString(m.file.key)
	if err != nil {
		return issued{}, &FetchError{Reason: "the assertion could not be signed", Advice: "check the key file"}
	}
	return e.exchange(ctx, grant{
		params:    url.Values{"grant_type": {grantJWTBearer}, "assertion": {signed}},
		shown:     newSecret(signed),
		assertion: true,
	}, now)
}
