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
// what all callers that match it may do. Unlisted operations are compared by name.
func Diff(before, after *policy.Policy) []Change {
	var changes []Change
	old, now := byName(before), byName(after)
	all := maps.Clone(old)
	maps.Copy(all, now)
	for _, caller := range callers(before, after) {
		for name, op := range all {
			c := Change{Caller: caller.String(), Operation: name, Hazards: op.Hazards}
			c.Before, c.After = before.Grants(caller, old[name]), after.Grants(caller, now[name])
			c.Gains, c.Loses = !within(c.After, c.Before), !within(c.Before, c.After)
			if c.Gains || c.Loses {
				changes = append(changes, c)
			}
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Caller, b.Caller), strings.Compare(string(a.Operation), string(b.Operation)))
	})
	return changes
}

// within tells whether each grant lies within one of wider. The order in which
// rules are tried does not matter to that: whatever lets a request through is
// within what let it through before.
func within(grants, wider []policy.Grant) bool {
	for _, g := range grants {
		if !slices.ContainsFunc(wider, g.Within) {
			return false
		}
	}
	return true
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

func byName(p *policy.Policy) map[operation.Name]*operation.Operation {
	all := make(map[operation.Name]*operation.Operation, len(p.Operations()))
	for _, op := range p.Operations() {
		all[op.Name] = op
	}
	return all
}
