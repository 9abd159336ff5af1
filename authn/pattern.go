package authn

import (
	"fmt"
	"strings"
)

// Pattern is what a rule names: one caller, or all SPIFFE IDs or subjects of an
// issuer that differ from it only where a whole part is '*'. The zero Pattern
// matches nobody.
type Pattern struct {
	kind Kind
	name string
	wild bool
}

// ParseCallerPattern reads a caller as [ParseCaller] does, with '*' in two kinds:
// in a SPIFFE ID it stands for exactly one path segment
// ("spiffe://acme.internal/*/crm"), in a JWT's subject for exactly one part
// between ':' and '/' ("jwt:cluster/system:serviceaccount:crm:*"), which is never
// empty. A trust domain and an issuer's name are never patterns, nor is a piece
// of a segment or part.
func ParseCallerPattern(s string) (Pattern, error) {
	wild := false
	star := func(what string, check func(string) error) func(string) error {
		return func(segment string) error {
			if segment == "*" {
				wild = true
				return nil
			}
			if strings.Contains(segment, "*") {
				return fmt.Errorf("'*' stands for a whole %s, not for a piece of %q", what, segment)
			}
			return check(segment)
		}
	}
	kind, err := parse(s, star("segment of the path", checkSegment), star("part of the subject between ':' and '/'", checkPart))
	if err != nil {
		return Pattern{}, fmt.Errorf("parsing caller pattern %.80q: %w", s, err)
	}
	return Pattern{kind: kind, name: s, wild: wild}, nil
}

// Match reports whether c is a caller that p names. Nobody matches no pattern.
func (p Pattern) Match(c Caller) bool {
	if p.kind == KindNone || p.kind != c.kind {
		return false
	}
	if !p.wild {
		return p.name == c.name
	}
	return alongside(p.name, c.name, func(want, got string) bool { return want == got || want == "*" && got != "" })
}

// Covers reports whether p matches every caller that q matches.
func (p Pattern) Covers(q Pattern) bool {
	return p.kind != KindNone && alongside(p.name, q.name, func(x, y string) bool { return x == y || x == "*" && y != "" })
}

// Meets reports whether some caller matches both p and q.
func (p Pattern) Meets(q Pattern) bool {
	return p.kind != KindNone && alongside(p.name, q.name, func(x, y string) bool { return x == y || x == "*" && y != "" || y == "*" && x != "" })
}

// Common is the pattern of the callers that match both p and q, and false if none does.
func (p Pattern) Common(q Pattern) (Pattern, bool) {
	if !p.Meets(q) {
		return Pattern{}, false
	}
	c := Pattern{kind: p.kind}
	for a, b, more := p.name, q.name, true; more; {
		var x, y string
		x, a, more = cutPart(a)
		y, b, _ = cutPart(b)
		if strings.HasPrefix(x, "*") {
			x = y
		}
		c.name, c.wild = c.name+x, c.wild || strings.HasPrefix(x, "*")
	}
	return c, true
}

// alongside walks two identities part by part, and reports whether all that
// separates the parts is the same, and each pair fits.
func alongside(a, b string, fit func(x, y string) bool) bool {
	for {
		x, aRest, aMore := cutPart(a)
		y, bRest, bMore := cutPart(b)
		if aMore != bMore {
			return false
		}
		if !aMore {
			return fit(x, y)
		}
		i, j := len(x)-1, len(y)-1
		if x[i] != y[j] || !fit(x[:i], y[:j]) {
			return false
		}
		a, b = aRest, bRest
	}
}

// String returns the pattern as [ParseCallerPattern] reads it.
func (p Pattern) String() string { return p.name }

// Kind tells how callers that p names are told from others; KindNone if it matches nobody.
func (p Pattern) Kind() Kind { return p.kind }

// Caller returns the only caller that p matches, and false when p has a '*' or matches nobody.
func (p Pattern) Caller() (Caller, bool) {
	if p.kind == KindNone || p.wild {
		return Caller{}, false
	}
	return Caller{kind: p.kind, name: p.name}, true
}
