// Package authn establishes which caller sent a request, from the connection
// that carried it, or from a token that an issuer has signed, and never from
// anything the request says about itself.
package authn

import "net/http"

// Kind is how a caller was told from others. Kinds are part of the name, so
// that none can spell another's: "unix:crm" is never "anonymous:crm".
type Kind uint8

// The kinds of callers.
const (
	KindNone      Kind = iota // nobody: the zero Caller
	KindAnonymous             // whoever reaches a named listener: "anonymous:<name>"
	KindUnix                  // a unix socket's peer: "unix:<name>"
	KindDNS                   // a DNS SAN of a verified certificate: "dns:<name>"
	KindSPIFFE                // a URI SAN of a verified certificate: "spiffe://<trust domain>/<path>"
	KindJWT                   // the subject of a verified bearer JWT: "jwt:<issuer name>/<subject>"
)

// Caller names a workload. The zero Caller is nobody and matches no rule.
type Caller struct {
	kind Kind
	name string // whole identity: "unix:crm"
}

// Identity is what is known about the sender of a request. On an error of
// [Authenticator.Authenticate] Peer is still set.
type Identity struct {
	Caller     Caller
	Peer       string // "10.1.0.7:51844", or "uid=1001 gid=1001 pid=77" on a unix socket
	Thumbprint string // RFC 8705 x5t#S256 of the caller's leaf certificate; "" without one
}

// Authenticator tells who sent r. An error is an [*Error], says why nobody can be named or
// why the sender is no caller (a browser, a foreign Host), and refuses the request.
type Authenticator interface {
	Authenticate(r *http.Request) (Identity, error)
}
