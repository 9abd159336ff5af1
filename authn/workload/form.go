package workload

import (
	"encoding/base64"
	"strings"
)

// maxToken is the longest token, in bytes. What Kubernetes makes has about 1 KiB.
const maxToken = 16 << 10

// checkForm refuses what is no JWS in compact form before anything is decoded:
// the decoder of encoding/base64 would pass over line ends.
func checkForm(token string) error {
	switch {
	case token == "":
		return refuse(ReasonMissing, "the token is empty; send this workload's token")
	case len(token) > maxToken:
		return refuse(ReasonMalformed, "it has %d bytes; %d are the most", len(token), maxToken)
	}
	dots := 0
	for i := range len(token) {
		switch c := token[i]; {
		case c == '.':
			dots++
		case (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_':
			return refuse(ReasonMalformed, "byte %d is no base64url; send the token alone, as the issuer made it", i+1)
		}
	}
	switch dots {
	case 2:
		return nil
	case 4:
		return refuse(ReasonMalformed, "it is encrypted (JWE); have it signed alone")
	}
	return refuse(ReasonMalformed, "it has %d parts between dots, and a signed JWT has three; is it an opaque token?", dots+1)
}

// header is what is used of a JOSE header; what it has beside is ignored, keys
// and addresses of keys among it (jwk, jku, x5c, x5u).
type header struct{ kid string }

func readHeader(token string) (h header, err error) {
	part, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return h, refuse(ReasonMalformed, "its header is not encoded in base64url; send the token as the issuer made it")
	}
	all, err := members(text)
	if err != nil {
		return h, refuse(ReasonMalformed, "its header %s; send the token as the issuer made it", err)
	}
	// RFC 7515 section 4.1.11: what is critical must be understood, and none is.
	if _, ok := all["crit"]; ok {
		return h, refuse(ReasonMalformed, "its header has crit; use an issuer whose tokens need no extensions")
	}
	if err := checkType(all); err != nil {
		return h, err
	}
	if h.kid, err = all.text("kid"); err != nil {
		return h, refuse(ReasonMalformed, "its header's %s; send the token as the issuer made it", err)
	}
	return h, nil
}

// checkType keeps other tokens of the same issuer from being shown as one
// (RFC 8725 section 3.11): a logout token has iss, aud and sub as well.
func checkType(all object) error {
	typ, err := all.text("typ")
	if err != nil {
		return refuse(ReasonMalformed, "its header's %s; send the token as the issuer made it", err)
	}
	// RFC 7515 section 4.1.9: case does not matter, nor "application/".
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "at+jwt", "jose":
		return nil
	}
	return refuse(ReasonMalformed, "its header's typ is %.40q; use a token that is a JWT or at+jwt", typ)
}
