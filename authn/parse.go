package authn

import (
	"fmt"
	"strings"
)

// The longest names, in bytes.
const (
	maxName   = 63   // of unix and anonymous callers, after the kind
	maxDNS    = 253  // RFC 1035 section 2.3.4, without the root's dot
	maxSPIFFE = 2048 // SPIFFE ID section 2.3, with the scheme
	maxJWT    = 256  // of a subject: OpenID Connect Core 1.0 section 2 has 255
)

const (
	prefixAnonymous = "anonymous:"
	prefixUnix      = "unix:"
	prefixDNS       = "dns:"
	prefixSPIFFE    = "spiffe://"
	prefixJWT       = "jwt:"
)

// ParseCaller reads a caller as [Caller.String] prints it: "anonymous:<name>",
// "unix:<name>", "dns:<name>", "spiffe://<trust domain>/<path>" or "jwt:<issuer
// name>/<subject>". There is one spelling of each caller; any other is an error
// that says what is wrong.
func ParseCaller(s string) (Caller, error) {
	kind, err := parse(s, checkSegment, checkPart)
	if err != nil {
		return Caller{}, fmt.Errorf("parsing caller %.80q: %w", s, err)
	}
	return Caller{kind: kind, name: s}, nil
}

// Anonymous returns the caller "anonymous:<name>". The name is 1 to 63 bytes of a-z, 0-9, '.', '_' and '-'.
func Anonymous(name string) (Caller, error) { return ParseCaller(prefixAnonymous + name) }

// Unix returns the caller "unix:<name>". The name is as for [Anonymous].
func Unix(name string) (Caller, error) { return ParseCaller(prefixUnix + name) }

// JWT returns the caller "jwt:<issuer>/<subject>". The issuer's name is as for
// [Anonymous]; the subject is 1 to 256 bytes of visible ASCII, without space and '*'.
func JWT(issuer, subject string) (Caller, error) {
	return ParseCaller(prefixJWT + issuer + "/" + subject)
}

// String returns the whole identity, "" for nobody.
func (c Caller) String() string { return c.name }

// Kind tells how the caller was told from others; KindNone for nobody.
func (c Caller) Kind() Kind { return c.kind }

// TrustDomain returns the trust domain of a SPIFFE ID, "" for other kinds of callers.
func (c Caller) TrustDomain() string {
	id, ok := strings.CutPrefix(c.name, prefixSPIFFE)
	if !ok {
		return ""
	}
	domain, _, _ := strings.Cut(id, "/")
	return domain
}

// IsZero reports whether c is nobody.
func (c Caller) IsZero() bool { return c.kind == KindNone }

// parse finds the kind of s and checks the rest; segment judges the path
// segments of a SPIFFE ID, part the parts of a JWT's subject.
func parse(s string, segment, part func(string) error) (Kind, error) {
	if id, ok := strings.CutPrefix(s, prefixSPIFFE); ok {
		return KindSPIFFE, checkSPIFFE(id, segment)
	}
	if name, ok := strings.CutPrefix(s, prefixDNS); ok {
		return KindDNS, checkDNS(name)
	}
	if name, ok := strings.CutPrefix(s, prefixUnix); ok {
		return KindUnix, checkName(name)
	}
	if name, ok := strings.CutPrefix(s, prefixAnonymous); ok {
		return KindAnonymous, checkName(name)
	}
	if id, ok := strings.CutPrefix(s, prefixJWT); ok {
		return KindJWT, checkJWT(id, part)
	}
	return KindNone, fmt.Errorf("its kind is missing; a caller begins with %s, %s, %s, %s or %s", prefixSPIFFE, prefixDNS, prefixJWT, prefixUnix, prefixAnonymous)
}

func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("its name is empty; give 1 to %d of a-z, 0-9, '.', '_', '-'", maxName)
	}
	if len(name) > maxName {
		return fmt.Errorf("its name has %d bytes; %d are the most", len(name), maxName)
	}
	for i := range len(name) {
		if c := name[i]; !lowerOrDigit(c) && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("its name has %q; only a-z, 0-9, '.', '_' and '-' may stand there", name[i:i+1])
		}
	}
	return nil
}

// checkDNS wants the letters, digits and hyphens of RFC 1123 section 2.1, in
// lower case. A name of digits and dots is an address, not a name.
func checkDNS(name string) error {
	if len(name) > maxDNS {
		return fmt.Errorf("its name has %d bytes; %d are the most", len(name), maxDNS)
	}
	numeric := false
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return fmt.Errorf("its name has an empty label; write it without a dot at the end and with one between labels")
		case len(label) > 63:
			return fmt.Errorf("label %.20q has %d bytes; 63 are the most", label, len(label))
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Errorf("label %q begins or ends with '-'", label)
		}
		numeric = true
		for i := range len(label) {
			if c := label[i]; !lowerOrDigit(c) && c != '-' {
				return fmt.Errorf("label %q has %q; only a-z, 0-9 and '-' may stand there", label, label[i:i+1])
			}
			numeric = numeric && label[i] >= '0' && label[i] <= '9'
		}
	}
	if numeric {
		return fmt.Errorf("its last label is a number, as in an address; give a name")
	}
	return nil
}

// checkSPIFFE follows https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
// section 2. The characters allowed leave no room for user information, port,
// query, fragment or percent encoding. A trust domain alone names no workload.
func checkSPIFFE(id string, segment func(string) error) error {
	if len(prefixSPIFFE)+len(id) > maxSPIFFE {
		return fmt.Errorf("it has %d bytes; %d are the most", len(prefixSPIFFE)+len(id), maxSPIFFE)
	}
	domain, path, found := strings.Cut(id, "/")
	if domain == "" {
		return fmt.Errorf("its trust domain is empty")
	}
	if len(domain) > 255 {
		return fmt.Errorf("its trust domain has %d bytes; 255 are the most", len(domain))
	}
	for i := range len(domain) {
		if c := domain[i]; !lowerOrDigit(c) && c != '.' && c != '-' && c != '_' {
			return fmt.Errorf("its trust domain has %q; only a-z, 0-9, '.', '-' and '_' may stand there", domain[i:i+1])
		}
	}
	if !found {
		return fmt.Errorf("its path is missing; a trust domain alone names no workload")
	}
	for s := range strings.SplitSeq(path, "/") {
		if err := segment(s); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(s string) error {
	switch s {
	case "":
		return fmt.Errorf("its path has an empty segment; write one '/' between segments and none at the end")
	case ".", "..":
		return fmt.Errorf("its path has the segment %q, which would name another path", s)
	}
	for i := range len(s) {
		c := s[i]
		if !lowerOrDigit(c) && (c < 'A' || c > 'Z') && c != '.' && c != '-' && c != '_' {
			return fmt.Errorf("its path has %q; only letters, digits, '.', '-' and '_' may stand there", s[i:i+1])
		}
	}
	return nil
}

func lowerOrDigit(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
