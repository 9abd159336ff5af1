// Package serviceuser obtains and keeps fresh the access tokens of ZITADEL
// service users.
//
// A [Source] holds one service user's current token. [Source.Token] reads it
// from memory, so that no request ever waits for a refresh; [Source.Run]
// fetches in the background, one fetch at a time, well before the token ends.
// Four kinds of credential stand behind it: [PrivateKeyJWT],
// [ClientCredentials], [PersonalAccessToken] and [SystemUser]. All of them are
// read from files, which are watched: a replaced file is taken up, a broken one
// leaves the old credential in use.
//
// No key, secret, assertion or token appears in an error, an event or any
// formatted value of this package. It imports nothing else of zproxy and logs
// nothing itself: what happens is told to [Config.Observe].
package serviceuser

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Token is one access token of a service user. It is immutable.
//
// It hides itself from every formatting verb, but fmt does not call methods on
// unexported fields: a type that keeps a Token in one must hide it itself.
type Token struct {
	// Authorization is the whole header value, "Bearer …", as a slice so that
	// it can be put into a header map without an allocation. Never modify it.
	Authorization []string
	// Expiry is when ZITADEL ends the token; zero when it does not say (PAT).
	Expiry time.Time
	// Generation counts the tokens of one source, from 1.
	Generation uint64
}

const hiddenToken = "[access token]"

// String hides the token, as every formatting verb must.
func (t Token) String() string { return hiddenToken }

// GoString hides the token.
func (t Token) GoString() string { return hiddenToken }

// Format hides the token from every verb and flag.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hiddenToken) }

// MarshalText hides the token from encoders, JSON included.
func (t Token) MarshalText() ([]byte, error) { return []byte(hiddenToken), nil }

// LogValue hides the token from log/slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(hiddenToken) }
