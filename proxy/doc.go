// Package proxy enforces: it takes each request through caller, operation,
// decision, evidence, limit, token and forwarding, and leaves an outcome record
// whatever happens.
//
// [Proxy.Listener] makes the handlers, and handler.go holds the way of a request
// on one screen. Everything that can fail runs before httputil.ReverseProxy is
// entered; every return writes an answer in the caller's own protocol and a
// record. What goes upstream is built from what was decided, never copied from
// the request: the path from the matched operation, the header from an
// allowlist, the credential last.
package proxy
