// Package review compares policies: what callers gain and lose from one to the
// other, in operations.
package review

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// Change is how what a caller may do with one operation differs.
type Change struct {
	Caller    string
	Operation operation.Name
	Hazards   operation.Hazards
	Before    []policy.Grant
	After     []policy.Grant
	// Gains tells that After gives something that Before did not; Loses the
	// reverse. Both are true where the two cannot be compared, such as for
	// another service user or another condition.
	Gains, Loses bool
}

// Diff lists what changes from before to after, by caller and then by
// operation. Callers are those that either policy names: for a pattern it tells
// what all callers that match it may do. Those that match several patterns are a
// pattern of their own where the change is another for them: which rule comes first
// matters to them alone. Unlisted operations are compared by name.
func Diff(before, after *policy.Policy) []Change {
	var changes []change
	old, now := byName(before), byName(after)
	all := maps.Clone(old)
	maps.Copy(all, now)
	named := callers(before, after)
	for name, op := range all {
		compare := func(who authn.Pattern) change {
			c := change{Change{Caller: who.String(), Operation: name, Hazards: op.Hazards}, who}
			c.Before, c.After = before.Grants(who, old[name]), after.Grants(who, now[name])
			c.Gains, c.Loses = !within(c.After, c.Before), !within(c.Before, c.After)
			return c
		}
		var served []authn.Pattern
		first := len(changes)
		for _, who := range named {
			c := compare(who)
			if len(c.Before)+len(c.After) > 0 {
				served = append(served, who)
			}
			if c.Gains || c.Loses {
				changes = append(changes, c)
			}
		}
		for _, who := range shared(served) {
			if c := compare(who); (c.Gains || c.Loses) && !slices.ContainsFunc(changes[first:], c.within) {
				changes = append(changes, c)
			}
		}
	}
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(strings.Compare(a.Caller, b.Caller), strings.Compare(string(a.Operation), string(b.Operation)))
	})
	out := make([]Change, len(changes))
	for i, c := range changes {
		out[i] = c.Change
	}
	return out
}

// change is a Change and whose it is.
type change struct {
	Change
	who authn.Pattern
}

// within tells whether wider is the same change of the same operation, for c's
// callers and others.
func (c change) within(wider change) bool {
	return wider.who.Covers(c.who) &&
		slices.EqualFunc(c.Before, wider.Before, policy.Grant.Same) && slices.EqualFunc(c.After, wider.After, policy.Grant.Same)
}

// within tells whether each grant lies within one of wider that lets the same
// requests through: what stands before that one with another service user has to
// stand before the grant too, or the grant would get requests that it did not get.
func within(grants, wider []policy.Grant) bool {
	for i, g := range grants {
		if !slices.ContainsFunc(wider, func(w policy.Grant) bool { return g.Within(w) && !overtakes(grants[:i], w, wider) }) {
			return false
		}
	}
	return true
}

// overtakes tells whether requests that a grant before w in wider took, and
// served as somebody else, now come to one that has only before in front of it.
func overtakes(before []policy.Grant, w policy.Grant, wider []policy.Grant) bool {
	for _, first := range wider {
		if first.Same(w) {
			return false
		}
		if first.As == w.As || apart(first, w) {
			continue
		}
		if !slices.ContainsFunc(before, func(b policy.Grant) bool { return first.Within(b) }) {
			return true
		}
	}
	return false
}

// apart tells whether no organization is of both: what names one comes to one of them only.
func apart(a, b policy.Grant) bool {
	pinned := func(g policy.Grant) bool { return len(g.Organizations) > 0 && g.Organizations[0] != "*" }
	return pinned(a) && pinned(b) && !slices.ContainsFunc(a.Organizations, func(id string) bool { return slices.Contains(b.Organizations, id) })
}

func callers(policies ...*policy.Policy) []authn.Pattern {
	var all []authn.Pattern
	for _, p := range policies {
		for _, c := range p.Callers() {
			if !slices.ContainsFunc(all, func(d authn.Pattern) bool { return c.String() == d.String() }) {
				all = append(all, c)
			}
		}
	}
	return all
}

// shared are the callers that match several of patterns, as patterns that are none of them.
func shared(patterns []authn.Pattern) []authn.Pattern {
	known := make(map[authn.Pattern]bool)
	for _, p := range patterns {
		known[p] = true
	}
	var all []authn.Pattern
	for more := patterns; len(more) > 0; {
		var found []authn.Pattern
		for _, p := range more {
			for _, q := range patterns {
				if both, ok := p.Common(q); ok && !known[both] {
					known[both] = true
					found = append(found, both)
				}
			}
		}
		all, more = append(all, found...), found
	}
	return all
}

func byName(p *policy.Policy) map[operation.Name]*operation.Operation {
	all := make(map[operation.Name]*operation.Operation, len(p.Operations()))
	for _, op := range p.Operations() {
		all[op.Name] = op
	}
	return all
}
