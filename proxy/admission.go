package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/zproxy/zproxy/authn"
)

// admit refuses what no caller has to send and what makes requests mean two
// things, before anything else is looked at.
func admit(r *http.Request, headerLimit int) *refusal {
	size := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		if strings.IndexByte(name, '_') >= 0 {
			// An alias that some servers read as '-': CVE-2025-64484.
			return refuse(ReasonMalformed, "a header name with '_' is not accepted; spell it with '-'")
		}
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if size > headerLimit {
		return refuse(ReasonHeaderTooLarge, "the request header is larger than "+strconv.Itoa(headerLimit)+
			" bytes; send less, or raise limits.header_bytes")
	}
	h := r.Header
	switch {
	case present(h, "Upgrade"), present(h, "Http2-Settings"), tokenListed(h["Connection"], "upgrade"):
		// An upgraded connection is a tunnel with zproxy's rights: golang/go#80416.
		return refuse(ReasonUpgrade, "Upgrade is not accepted; speak HTTP/2 by prior knowledge, or HTTP/1.1")
	case present(h, "X-Http-Method-Override"), present(h, "X-Http-Method"), present(h, "X-Method-Override"):
		return refuse(ReasonMalformed, "a method override is not accepted; send the method itself")
	case len(h["X-Zitadel-Orgid"]) > 1:
		return refuse(ReasonOrganization, "x-zitadel-orgid is given more than once; send one")
	case r.ProtoMajor == 1 && r.ProtoMinor == 0 && r.TransferEncoding != nil:
		return refuse(ReasonMalformed, "Transfer-Encoding needs HTTP/1.1")
	}
	for _, name := range single {
		if len(h[name]) > 1 {
			return refuse(ReasonMalformed, name+" is given more than once; send one")
		}
	}
	return nil
}

// RefusesHeader tells whether every request that has a header of this name, in
// any case, is refused for it.
func RefusesHeader(name string) bool {
	h := http.Header{http.CanonicalHeaderKey(strings.TrimSpace(name)): {""}}
	return authn.CheckBrowser(h) != nil || admit(&http.Request{Header: h}, 1<<20) != nil
}

// single are the headers that decide how a request is read or who it is from:
// of two, some servers take the first and some the last.
var single = [...]string{
	"Authorization", "Connect-Content-Encoding", "Connect-Protocol-Version", "Connect-Timeout-Ms", "Content-Encoding",
	"Content-Type", "Grpc-Encoding", "Grpc-Timeout", "Te", "X-Grpc-Web",
}

func present(h http.Header, name string) bool {
	_, ok := h[name]
	return ok
}

// tokenListed tells whether a comma-separated field (RFC 9110 section 5.6.1) lists token.
func tokenListed(values []string, token string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// userToken tells whether the value of Authorization is "Bearer" and one
// b64token (RFC 6750 section 2.1), spelled as ZITADEL wants it.
func userToken(value string) bool {
	token, ok := strings.CutPrefix(value, "Bearer ")
	if !ok || token == "" || len(token) > 16<<10 {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte("-._~+/=", c) < 0 {
			return false
		}
	}
	return true
}
