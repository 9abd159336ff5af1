package serviceuser

import (
	"context"
	"errors"
	"time"
	"unicode"
	"unicode/utf8"
)

const maxClientSecret = 4 << 10

// ClientCredentials authenticates with a client id, in ZITADEL the service
// user's user name, and the client secret in a file (RFC 6749 section 4.4). One
// line end after the secret is ignored. ZITADEL keeps one secret per user, so
// replacing it leaves a moment in which neither file nor server agree; the
// running token bridges it.
func ClientCredentials(id, secretFile string) Credential {
	return Credential{kind: "client_credentials", file: secretFile, parse: func(content []byte, _ time.Time) (minter, error) {
		if id == "" {
			return nil, errors.New("no client id is given; it is the user name of the service user")
		}
		s := trimLine(content)
		switch {
		case s == "":
			return nil, errors.New("it is empty; put the client secret into it")
		case len(s) > maxClientSecret:
			return nil, errors.New("it is too long for a client secret")
		case !isPrintable(s):
			return nil, errors.New("it holds more than one line or characters that no client secret has")
		case s[0] == '{':
			return nil, errors.New("it is a JSON file; use private_key_jwt for a key file, or store the bare client secret")
		}
		return clientMinter{id: id, secret: newSecret(s)}, nil
	}}
}

func isPrintable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || (r != ' ' && unicode.IsSpace(r)) {
			return false
		}
	}
	return true
}

type clientMinter struct {
	id     string
	secret secret
}

func (m clientMinter) identity() (string, time.Time) { return "", time.Time{} }

func (m clientMinter) mint(ctx context.Context, e *endpoint, now time.Time) (issued, error) {
	return e.exchange(ctx, grant{clientID: m.id, clientSecret: m.secret, shown: m.secret}, now)
}
