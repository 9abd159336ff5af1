// Package operation knows ZITADEL's operations and names the one that a
// request would make ZITADEL perform.
//
// It does no I/O and keeps no state: a [Catalogue] is built once and is safe
// for concurrent use.
package operation

// Name is the full name of an operation: "zitadel.user.v2.UserService/ListUsers"
// for an RPC, "oidc/userinfo" or "scim/Users.List" for what has no descriptor.
type Name string

// Operation is one thing that ZITADEL can be asked to do, whatever the
// transport. It is immutable; pointers into one [Catalogue] may be compared.
type Operation struct {
	Name Name
	// Index is the operation's position in its catalogue, from 0 without
	// gaps: policies keep sets of operations as bits.
	Index int
	// Permission is what ZITADEL declares for the RPC: a permission such as
	// "user.read", "authenticated" for any valid token, or "" for nothing.
	Permission string
	// Changes tells that the operation may change ZITADEL's state. Unlisted
	// operations are taken to change it.
	Changes bool
	// Deprecated is the OpenAPI deprecation flag of the RPC.
	Deprecated bool
	// Unlisted marks an operation that this build's catalogue does not know
	// and the configuration names; it is reachable by its RPC path only.
	Unlisted bool
	// Hazards are the classes that keep the operation out of every wildcard.
	Hazards Hazards
	// NamesUser tells that the request can name a user somewhere in its
	// message, so that its body has to be looked at before it is forwarded.
	NamesUser bool
	// Routes are the REST bindings in proto order; empty where there is none.
	Routes []Route

	surface surface
}

// Route is one REST binding of an operation (google.api.http), with the prefix
// that ZITADEL serves it under.
type Route struct {
	Method   string // "GET"
	Template string // "/v2/users/{user_id}"
	Body     bool   // the request message is the body: JSON, but for uploaded assets

	accepts accepts
}

// Protocol is how a request speaks to ZITADEL; replies of our own use the same.
type Protocol uint8

// The protocols, chosen by path first and content type second, as ZITADEL does.
const (
	REST          Protocol = iota // JSON over ZITADEL's REST gateway; also what cannot be told
	Connect                       // unary Connect, JSON or protobuf
	ConnectStream                 // streaming Connect (application/connect+…): unlisted operations only
	GRPC                          // gRPC
	GRPCWeb                       // gRPC-web, binary
	GRPCWebText                   // gRPC-web, base64
	OIDC                          // OAuth and OpenID Connect endpoints
	SCIM                          // SCIM 2.0
	Asset                         // ZITADEL's assets API
)

// Request is the part of a request that decides what ZITADEL would do.
type Request struct {
	Method string
	// Target is the request target byte for byte as received: path and query
	// in origin form (RFC 9112 section 3.2.1), HTTP/2's :path.
	Target      string
	ContentType string // the one Content-Type value; "" when absent
}

// Variable is a path variable of a REST binding, decoded once.
type Variable struct {
	Field string // the field's proto name, dotted where nested: "user_id"
	Value string
}

// Resolved is what [Catalogue.Resolve] found out. Path and Query are what goes
// upstream: built from what was matched, never the caller's bytes.
type Resolved struct {
	Operation *Operation
	Protocol  Protocol // set on errors too, so that they can be answered in it
	// JSON tells that the body is JSON; otherwise it is protobuf, framed as
	// the protocol frames it, or of no concern.
	JSON bool
	// BodyIsMessage tells that the body is the request message as a whole: on
	// RPC paths and on REST routes with a body.
	BodyIsMessage bool
	Path          string     // escaped
	Query         string     // escaped, without "?"; "" on routes whose message is the body
	Variables     []Variable // nil for RPC paths
	// QueryPairs are the parameters of Query, decoded, in received order; nil
	// where there is no query or the query is dropped.
	QueryPairs []QueryPair
}

// QueryPair is one parameter of a query, decoded once.
type QueryPair struct {
	Name, Value string
}
