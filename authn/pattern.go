package authn

import (
	"fmt"
	"strings"
)

// Pattern is what a rule names: one caller, or all SPIFFE IDs that differ from
// it only where a whole path segment is '*'. The zero Pattern matches nobody.
type Pattern struct {
	kind Kind
	name string
	wild bool
}

// ParseCallerPattern reads a caller as [ParseCaller] does, or a SPIFFE ID where
// '*' stands for exactly one path segment: "spiffe://acme.internal/*/crm". A
// trust domain is never a pattern, nor is part of a segment.
func ParseCallerPattern(s string) (Pattern, error) {
	wild := false
	kind, err := parse(s, func(segment string) error {
		if segment == "*" {
			wild = true
			return nil
		}
		if strings.Contains(segment, "*") {
			return fmt.Errorf("'*' stands for a whole segment of the path, not for a part of %q", segment)
		}
		return checkSegment(segment)
	})
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
	pattern, name := p.name[len(prefixSPIFFE):], c.name[len(prefixSPIFFE):]
	for first := true; ; first = false {
		want, patternRest, patternMore := strings.Cut(pattern, "/")
		got, nameRest, nameMore := strings.Cut(name, "/")
		if (first || want != "*") && want != got || patternMore != nameMore {
			return false
		}
		if !patternMore {
			return true
		}
		pattern, name = patternRest, nameRest
	}
}

// String returns the pattern as [ParseCallerPattern] reads it.
func (p Pattern) String() string { return p.name }

// Caller returns the only caller that p matches, and false when p has a '*' or matches nobody.
func (p Pattern) Caller() (Caller, bool) {
	if p.kind == KindNone || p.wild {
		return Caller{}, false
	}
	return Caller{kind: p.kind, name: p.name}, true
}
