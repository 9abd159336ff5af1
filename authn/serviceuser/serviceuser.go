// Package serviceuser obtains and keeps fresh the access tokens of ZITADEL
// service users.
//
// A [Source] hands out the current token from memory; requests never wait for
// a refresh. It imports nothing else of zproxy.
package serviceuser

import "time"

// Token is one access token of a service user. It is immutable.
type Token struct {
	// Authorization is the whole header value, "Bearer …", as a slice so that
	// it can be put into a header map without an allocation. Never modify it.
	Authorization []string
	// Expiry is when ZITADEL ends the token; zero when it does not say (PAT).
	Expiry time.Time
	// Generation counts the tokens of one source, from 1.
	Generation uint64
}

// String hides the token, as every formatting verb must.
func (t *Token) String() string { return "[access token]" }

// GoString hides the token.
func (t *Token) GoString() string { return t.String() }
