package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/organization"
)

// Warning is something in the rules that works and is hardly meant.
type Warning struct {
	Rule    string
	Index   int // the rule's position, from 0
	Message string
}

// Warnings are, in file order: rules that can never decide because earlier ones
// cover them, overlaps where the earlier rule has another service user,
// operations that the rule's organizations cannot limit or its condition has no
// meaning for, conditions that hold for every request or none, and deprecated
// operations that are named in full.
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
		p.warnUnlimited(i, warn)
		p.warnMeaningless(i, warn)
		p.warnConstant(i, warn)
		for _, op := range p.ops {
			if op.Deprecated && p.rules[i].named.has(op.Index) {
				warn("%s is deprecated in ZITADEL; %s", op.Name, p.successor(op))
			}
		}
	}
	return all
}

// successor says what to name in place of a deprecated operation: the one
// operation of a v2 service whose method has the same name, where there is one.
func (p *Policy) successor(old *operation.Operation) string {
	_, method, _ := strings.Cut(string(old.Name), "/")
	var found []string
	for _, op := range p.ops {
		service, same, _ := strings.Cut(string(op.Name), "/")
		if same == method && !op.Deprecated && strings.Contains(service, ".v2.") {
			found = append(found, string(op.Name))
		}
	}
	if len(found) == 1 {
		return "its successor seems to be " + found[0]
	}
	return "look for its successor among the v2 services with zproxy operations"
}

func (p *Policy) warnOverlaps(at int, warn func(string, ...any)) {
	r := &p.rules[at]
	reached := false
	for _, pattern := range r.callers {
		left := r.allows.clone()
		for i := range at {
			if q := &p.rules[i]; !q.Shadow && q.takes(r) && q.any(pattern, authn.Pattern.Covers) {
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
		if q.Shadow || !q.takes(r) || q.As == r.As || !q.allows.intersects(r.allows) {
			continue
		}
		for _, pattern := range r.callers {
			if q.any(pattern, authn.Pattern.Meets) {
				warn("it overlaps with rule %s, which comes first and serves %s as %s, not %s", q.Name, pattern, q.As, r.As)
				break
			}
		}
	}
}

// takes tells whether r lets through every request that later does, of callers
// and operations that both have. It does not compare what conditions mean.
func (r *compiled) takes(later *compiled) bool {
	switch g := r.guard; {
	case g == nil:
		return true
	case r.When != "" && r.When != later.When:
		return false
	case !g.until.IsZero() && (later.Until.IsZero() || later.Until.After(g.until)):
		return false
	case len(g.pins) == 0:
		return true
	default:
		return later.guard != nil && len(later.guard.pins) > 0 &&
			!slices.ContainsFunc(later.guard.pins, func(id string) bool { return !slices.Contains(g.pins, id) })
	}
}

// warnUnlimited tells of operations that a rule keeps within organizations in
// name only: nothing in their requests limits them.
func (p *Policy) warnUnlimited(at int, warn func(string, ...any)) {
	r := &p.rules[at]
	if r.guard == nil || len(r.guard.pins) == 0 {
		return
	}
	var names []string
	for _, op := range p.ops {
		if r.allows.has(op.Index) && r.guard.limited[op.Index] == organization.Nothing {
			names = append(names, string(op.Name))
		}
	}
	if len(names) > 0 {
		warn("its organizations cannot limit %s: requests name their target by id, and ZITADEL looks only at what %s may do there; only a condition that names the targets helps, or a service user with roles in these organizations alone",
			shortList(names), r.As)
	}
}

// warnMeaningless tells of operations that a rule never allows, because its
// condition looks at what their requests do not have.
func (p *Policy) warnMeaningless(at int, warn func(string, ...any)) {
	r := &p.rules[at]
	if r.guard == nil {
		return
	}
	for _, op := range p.ops {
		if err := r.guard.never[op.Index]; err != nil && r.named.has(op.Index) {
			warn("it never allows %s: its condition has no meaning there (%v); give the operation a rule of its own", op.Name, err)
		}
	}
}

// warnConstant tells of a condition that is no condition: it comes to the same
// for every request of the rule.
func (p *Policy) warnConstant(at int, warn func(string, ...any)) {
	r := &p.rules[at]
	if r.guard == nil || r.guard.conditions == nil {
		return
	}
	always, never := true, true
	for _, op := range p.ops {
		if !r.allows.has(op.Index) || r.guard.never[op.Index] != nil {
			continue
		}
		holds, constant := r.guard.conditions[op.Index].Constant(string(op.Name))
		always, never = always && constant && holds, never && constant && !holds
	}
	switch {
	case never:
		warn("its condition holds for no request, so it allows nothing; correct it, or remove the rule")
	case always:
		warn("its condition holds for every request, so it asks nothing; correct it, or remove when")
	}
}

// shortList names the first few and counts the rest.
func shortList(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func (r *compiled) any(p authn.Pattern, holds func(a, b authn.Pattern) bool) bool {
	for _, own := range r.callers {
		if holds(own, p) {
			return true
		}
	}
	return false
}
