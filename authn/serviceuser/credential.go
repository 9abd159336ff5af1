package serviceuser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Credential says how a service user proves who it is. The zero value is none
// and is refused by [New]. It holds the path of a file, never what is in it.
type Credential struct {
	kind   string
	file   string
	userID string
	parse  func(content []byte, now time.Time) (minter, error)
}

// WithUserID returns the credential with the service user's id, for the kinds
// whose files do not tell it. A key file of another user is refused then.
func (c Credential) WithUserID(id string) Credential {
	c.userID = id
	return c
}

// Kind is "private_key_jwt", "client_credentials", "personal_access_token" or
// "system_user"; empty for the zero value.
func (c Credential) Kind() string { return c.kind }

// Format prints the kind and the file's path.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.text()) }

// MarshalText is the text that Format prints.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.text()), nil }

func (c Credential) text() string {
	if c.kind == "" {
		return "[no credential]"
	}
	return "[" + c.kind + " from " + c.file + "]"
}

// minter is a credential that has been read: it brings forth tokens.
type minter interface {
	// mint returns a new token. It asks the endpoint where the kind needs it.
	mint(ctx context.Context, e *endpoint, now time.Time) (issued, error)
	// identity is the user's id and when the credential ends, as far as the
	// file tells.
	identity() (userID string, expiry time.Time)
}

// issued is what a minter brought forth.
type issued struct {
	value  secret
	expiry time.Time     // when the token ends; zero when it does not say
	renew  time.Duration // when to mint again, if not by the share of the lifetime
	fixed  bool          // minting again can only bring the same token
	skew   time.Duration

	began   time.Time     // when it was asked for, by the wall clock
	elapsed time.Duration // the same, since the source was made
}

// load reads the credential from its file.
func (c Credential) load(content []byte, now time.Time) (minter, error) {
	m, err := c.parse(content, now)
	if err != nil {
		return nil, fmt.Errorf("reading credential file %q: %w", c.file, err)
	}
	if id, _ := m.identity(); c.userID != "" && id != "" && id != c.userID {
		return nil, fmt.Errorf("reading credential file %q: it belongs to user %s, expected %s; configure another service user for it", c.file, id, c.userID)
	}
	return m, nil
}

func (c Credential) check() error {
	switch {
	case c.parse == nil:
		return errors.New("no credential is given")
	case c.file == "":
		return fmt.Errorf("%s: no file is given", c.kind)
	case c.userID != "" && !isID(c.userID):
		return fmt.Errorf("%s: the user id is not at most %d visible ASCII characters", c.kind, maxID)
	}
	return nil
}

// trimLine removes the one line end that editors and "echo" leave.
func trimLine(content []byte) string {
	s := string(content)
	if n := len(s); n > 0 && s[n-1] == '\n' {
		s = s[:n-1]
	}
	if n := len(s); n > 0 && s[n-1] == '\r' {
		s = s[:n-1]
	}
	return s
}

// fetches reports whether the kind asks the token endpoint.
func (c Credential) fetches() bool {
	return c.kind == "private_key_jwt" || c.kind == "client_credentials"
}
