package serviceuser

import (
	"context"
	"errors"
	"strings"
	"time"
)

// PersonalAccessToken uses a personal access token from a file as it stands: no
// token request, all rights of its user, valid until ZITADEL ends it. One line
// end after the token is ignored.
//
// When the upstream refuses it there is nothing to fetch: the token is handed
// out again after a growing pause, at most 30 seconds, and at once when the
// file is replaced.
func PersonalAccessToken(file string) Credential {
	return Credential{kind: "personal_access_token", file: file, parse: func(content []byte, _ time.Time) (minter, error) {
		s := trimLine(content)
		switch {
		case s == "":
			return nil, errors.New("it is empty; put the personal access token into it")
		case s[0] == '{':
			return nil, errors.New("it is a JSON file; use private_key_jwt for a key file, or store the bare token")
		case strings.HasPrefix(s, "Bearer "):
			return nil, errors.New(`it begins with "Bearer "; store the bare token`)
		}
		if err := checkAccessToken(s); err != nil {
			return nil, err
		}
		return patMinter{newSecret(s)}, nil
	}}
}

type patMinter struct{ token secret }

func (m patMinter) identity() (string, time.Time) { return "", time.Time{} }

func (m patMinter) mint(context.Context, *endpoint, time.Time) (issued, error) {
	return issued{value: m.token, fixed: true}, nil
}
