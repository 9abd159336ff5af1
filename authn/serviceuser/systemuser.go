package serviceuser

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// ZITADEL refuses a System API token whose iat is more than an hour old,
	// whatever its exp says.
	systemLife  = time.Hour
	systemRenew = 5 * time.Minute
)

// SystemUser authenticates as an entry of a self-hosted ZITADEL's
// SystemAPIUsers: a token signed with the private key in keyFile (RSA in PEM)
// is itself the bearer, and no token request is made. The audience is the
// origin that ZITADEL is configured with (ExternalSecure, ExternalDomain,
// ExternalPort), such as https://id.example.com, whatever host is called. A new
// token is signed every five minutes.
func SystemUser(user, keyFile, audience string) Credential {
	return Credential{kind: "system_user", file: keyFile, parse: func(content []byte, _ time.Time) (minter, error) {
		if !isID(user) {
			return nil, errors.New("no system user is given, or its name is not of visible ASCII characters")
		}
		if user != strings.ToLower(user) {
			return nil, fmt.Errorf("the system user %q has capital letters; ZITADEL keeps these names in lower case", user)
		}
		u, err := url.Parse(audience)
		if err != nil {
			return nil, errors.New("the audience is no URL; expected an origin such as https://id.example.com")
		}
		if _, err := origin(u); err != nil {
			return nil, fmt.Errorf("the audience: %w", err)
		}
		if audience != strings.TrimSuffix(audience, "/") {
			return nil, errors.New("the audience ends in a slash; ZITADEL compares it with the bare origin")
		}
		key, err := parseRSAKey(string(content))
		if err != nil {
			return nil, err
		}
		return systemMinter{user: user, audience: audience, key: key}, nil
	}}
}

type systemMinter struct {
	user     string
	audience string
	key      *rsa.PrivateKey
}

func (m systemMinter) identity() (string, time.Time) { return "", time.Time{} }

func (m systemMinter) mint(_ context.Context, _ *endpoint, now time.Time) (issued, error) {
	iat := now.Add(-backdate)
	exp := iat.Add(systemLife)
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": m.user,
		"sub": m.user,
		"aud": m.audience,
		"iat": iat.Unix(),
		"exp": exp.Unix(),
	})
	signed, err := t.SignedString(m.key)
	if err != nil {
		return issued{}, &FetchError{Reason: "the token could not be signed", Advice: "check the key file"}
	}
	return issued{value: newSecret(signed), expiry: time.Unix(exp.Unix(), 0), renew: systemRenew}, nil
}
