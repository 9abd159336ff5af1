package policy

import (
	"fmt"
	"strings"

	"github.com/zproxy/zproxy/authn"
)

// Warning is something in the rules that works and is hardly meant.
type Warning struct {
	Rule    string
	Index   int // the rule's position, from 0
	Message string
}

// Warnings are, in file order: rules that can never decide because earlier ones
// cover them, overlaps where the earlier rule has another service user, and
// deprecated operations that are named in full.
func (p *Policy) Warnings() []Warning {
	if p == nil {
		return nil
	}
	var all []Warning
	for i := range p.rules {
		warn := func(format string, args ...any) {
			all = append(all, Warning{p.rules[i].Name, i, fmt.Sprintf(format, args...)})
		}
		if !p.rules[i].Shadow {
			p.warnOverlaps(i, warn)
		}
		for _, op := range p.ops {
			if op.Deprecated && p.rules[i].named.has(op.Index) {
				warn("%s is deprecated in ZITADEL; name its successor", op.Name)
			}
		}
	}
	return all
}

func (p *Policy) warnOverlaps(at int, warn func(string, ...any)) {
	r := &p.rules[at]
	reached := false
	for _, pattern := range r.callers {
		left := r.allows.clone()
		for i := range at {
			if q := &p.rules[i]; !q.Shadow && q.any(pattern, covers) {
				left.remove(q.allows)
			}
		}
		reached = reached || !left.empty()
	}
	if !reached {
		warn("it never decides: earlier rules cover all of its callers and operations; remove it, or move it up")
		return
	}
	for i := range at {
		q := &p.rules[i]
		if q.Shadow || q.As == r.As || !q.allows.intersects(r.allows) {
			continue
		}
		for _, pattern := range r.callers {
			if q.any(pattern, meet) {
				warn("it overlaps with rule %s, which comes first and serves %s as %s, not %s", q.Name, pattern, q.As, r.As)
				break
			}
		}
	}
}

func (r *compiled) any(p authn.Pattern, holds func(a, b authn.Pattern) bool) bool {
	for _, own := range r.callers {
		if holds(own, p) {
			return true
		}
	}
	return false
}

// covers reports whether a matches all that b matches.
func covers(a, b authn.Pattern) bool {
	return bySegment(a, b, func(x, y string) bool { return x == y || x == "*" })
}

// meet reports whether some caller matches both.
func meet(a, b authn.Pattern) bool {
	return bySegment(a, b, func(x, y string) bool { return x == y || x == "*" || y == "*" })
}

func bySegment(a, b authn.Pattern, holds func(x, y string) bool) bool {
	x, y := a.String(), b.String()
	for {
		var xs, ys string
		var xMore, yMore bool
		xs, x, xMore = strings.Cut(x, "/")
		ys, y, yMore = strings.Cut(y, "/")
		if !holds(xs, ys) || xMore != yMore {
			return false
		}
		if !xMore {
			return true
		}
	}
}
