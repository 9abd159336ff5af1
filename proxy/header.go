package proxy

import (
	"net/http"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// forwarded are the headers that pass from in to out. Everything else stays
// here: credentials, cookies, hop-by-hop fields, whatever could choose the
// tenant (x-zitadel-*, Forwarded, X-Forwarded-*) or speak to ZITADEL's inner
// gRPC hop (Grpc-Metadata-*).
var forwarded = [...]string{
	"Accept", "Accept-Encoding", "Accept-Language",
	"Connect-Accept-Encoding", "Connect-Content-Encoding", "Connect-Protocol-Version", "Connect-Timeout-Ms",
	"Content-Encoding", "Content-Type",
	"Grpc-Accept-Encoding", "Grpc-Encoding", "Grpc-Timeout",
	"Traceparent", "Tracestate",
	"User-Agent", "X-Grpc-Web", "X-User-Agent",
}

// HeaderPatterns are the configured headers that pass besides the built-in
// ones. The zero value adds none.
type HeaderPatterns struct {
	exact    []string // canonical
	prefixes []string // canonical, without the '*'
}

// NewHeaderPatterns reads names and "prefix-*" patterns, in any case. That
// none of them covers a credential or routing header is the configuration's to check.
func NewHeaderPatterns(patterns []string) HeaderPatterns {
	var p HeaderPatterns
	for _, pattern := range patterns {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			p.prefixes = append(p.prefixes, http.CanonicalHeaderKey(prefix))
			continue
		}
		p.exact = append(p.exact, http.CanonicalHeaderKey(pattern))
	}
	return p
}

func (p HeaderPatterns) empty() bool { return len(p.exact) == 0 && len(p.prefixes) == 0 }

func (p HeaderPatterns) match(name string) bool {
	for _, e := range p.exact {
		if e == name {
			return true
		}
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Passes tells whether a caller's header of this name, in any case, goes
// upstream in a request of this protocol. x-zitadel-orgid, which a rule
// decides on, and Authorization, where a rule passes the caller's own token, are not told.
func (p HeaderPatterns) Passes(name string, protocol operation.Protocol) bool {
	name = http.CanonicalHeaderKey(strings.TrimSpace(name))
	_, passes := outHeader(http.Header{name: {""}}, protocol, p)[name]
	return passes && name != "Te"
}

// outHeader builds the header of out from an allowlist. The values are shared
// with in and never modified.
func outHeader(in http.Header, protocol operation.Protocol, extra HeaderPatterns) http.Header {
	out := make(http.Header, 8)
	for _, name := range forwarded {
		if v, ok := in[name]; ok {
			out[name] = v
		}
	}
	if protocol == operation.GRPC {
		out["Te"] = teTrailers // gRPC's servers insist on it; nothing else needs TE
	}
	if !extra.empty() {
		for name, v := range in {
			if extra.match(name) {
				out[name] = v
			}
		}
	}
	return out
}

// teTrailers is shared by all requests and never written to.
var teTrailers = []string{"trailers"}

// stripped are the headers of ZITADEL's answers that stay here: cookies would
// mix callers, CORS answers would let browsers in, Www-Authenticate is no valid
// challenge, Location can name other paths and hosts.
var stripped = [...]string{
	"Alt-Svc", "Location", "Server", "Set-Cookie", "Set-Cookie2", "Www-Authenticate", "X-Robots-Tag",
	"Refresh", "Clear-Site-Data", "Strict-Transport-Security", RequestIDHeader, "Proxy-Status",
}

// cleanAnswer removes from h what callers must not get.
func cleanAnswer(h http.Header) {
	for _, name := range stripped {
		delete(h, name)
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Grpc-Metadata-") ||
			strings.HasPrefix(name, "Grpcgateway-") {
			delete(h, name)
		}
	}
}

// removeHopByHop removes what concerns only the connection to the upstream
// (RFC 9110 section 7.6.1).
func removeHopByHop(h http.Header) {
	for _, listed := range h["Connection"] {
		for name := range strings.SplitSeq(listed, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range [...]string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		delete(h, name)
	}
}
