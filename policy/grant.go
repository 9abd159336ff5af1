package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/organization"
)

// Grant is what one rule gives a caller for one operation.
type Grant struct {
	Rule          string
	As            string
	Organizations []string // as in [Rule]
	When          string
	Until         time.Time
}

// Grants are what the rules give every caller that the pattern matches, in the
// order in which they are tried: up to the first that asks nothing of the
// request. Shadow rules give nothing.
func (p *Policy) Grants(callers authn.Pattern, op *operation.Operation) []Grant {
	if !p.knows(op) {
		return nil
	}
	var all []Grant
	for i := range p.rules {
		r := &p.rules[i]
		if r.Shadow || !r.allows.has(op.Index) || !r.any(callers, authn.Pattern.Covers) {
			continue
		}
		all = append(all, Grant{r.Name, r.As, r.Organizations, r.When, r.Until})
		if r.guard == nil {
			break
		}
	}
	return all
}

// Callers are all that the rules name, sorted by how they are written.
func (p *Policy) Callers() []authn.Pattern {
	if p == nil {
		return nil
	}
	var all []authn.Pattern
	for i := range p.rules {
		all = append(all, p.rules[i].callers...)
	}
	slices.SortFunc(all, func(a, b authn.Pattern) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(all, func(a, b authn.Pattern) bool { return a.String() == b.String() })
}

// Operations are those of the catalogue that the policy was compiled against.
func (p *Policy) Operations() []*operation.Operation {
	if p == nil {
		return nil
	}
	return p.ops
}

// Within tells whether g gives nothing that wider does not give: the same
// service user, no more organizations, no later end, and the same condition or
// one where wider has none. It does not compare what conditions mean.
func (g Grant) Within(wider Grant) bool {
	if g.As != wider.As || wider.When != "" && g.When != wider.When {
		return false
	}
	if !wider.Until.IsZero() && (g.Until.IsZero() || g.Until.After(wider.Until)) {
		return false
	}
	if slices.Equal(wider.Organizations, []string{"*"}) || slices.Equal(g.Organizations, wider.Organizations) {
		return true
	}
	// Without organizations a request acts in the service user's own, which may be none of these.
	return len(g.Organizations) > 0 && len(wider.Organizations) > 0 &&
		!slices.ContainsFunc(g.Organizations, func(id string) bool { return !slices.Contains(wider.Organizations, id) })
}

// Same tells whether g and h are the same, whatever their rules are called.
func (g Grant) Same(h Grant) bool {
	return g.As == h.As && g.When == h.When && g.Until.Equal(h.Until) && slices.Equal(g.Organizations, h.Organizations)
}

// Service is what rules have one service user do.
type Service struct {
	Operation *operation.Operation
	Rules     []string // those that cover it, in file order
	// Within are the organizations that every one of these rules keeps the
	// request within; nil where one does not.
	Within []string
	// Bare tells that one of these rules leaves it to the request whom it is
	// aimed at: it has no condition, and no organizations that limit the operation.
	Bare bool
}

// Services are what the rules have a service user do, in the order of the
// catalogue. Shadow rules have nobody do anything, and rules that learn nothing
// in particular.
func (p *Policy) Services(as string) []Service {
	if p == nil {
		return nil
	}
	var all []Service
	for _, op := range p.ops {
		s, pinned := Service{Operation: op}, true
		for i := range p.rules {
			r := &p.rules[i]
			if r.Shadow || r.Learn || r.As != as || !r.allows.has(op.Index) {
				continue
			}
			s.Rules = append(s.Rules, r.Name)
			s.Bare = s.Bare || r.guard == nil || r.guard.conditions == nil && !r.guard.limits(op)
			if r.guard == nil || len(r.guard.pins) == 0 {
				pinned = false
				continue
			}
			s.Within = append(s.Within, r.guard.pins...)
		}
		if len(s.Rules) == 0 {
			continue
		}
		slices.Sort(s.Within)
		if s.Within = slices.Compact(s.Within); !pinned {
			s.Within = nil
		}
		all = append(all, s)
	}
	return all
}

// limits tells whether organizations of the rule limit what op reaches.
func (g *guard) limits(op *operation.Operation) bool {
	return len(g.pins) > 0 && g.limited[op.Index] != organization.Nothing
}

// Wildcard is what the wildcards of one rule cover.
type Wildcard struct {
	Rule   string
	Covers []*operation.Operation // but for what the rule names in full besides
}

// Wildcards are the rules that have one, in file order.
func (p *Policy) Wildcards() []Wildcard {
	if p == nil {
		return nil
	}
	var all []Wildcard
	for i := range p.rules {
		w := Wildcard{Rule: p.rules[i].Name}
		for _, op := range p.ops {
			if p.rules[i].allows.has(op.Index) && !p.rules[i].named.has(op.Index) {
				w.Covers = append(w.Covers, op)
			}
		}
		if len(w.Covers) > 0 {
			all = append(all, w)
		}
	}
	return all
}
