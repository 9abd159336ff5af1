package policy

import (
	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
)

// Decide tells whether caller may perform op, and as whom. It is a pure
// function, does not allocate, and for callers that rules name in full takes
// the same time whatever the number of rules.
//
// A request that mentions a service user of zproxy's own is denied before any
// rule is asked. Rules are tried in file order; the first that allows decides.
// No policy, no caller, no operation and an operation of another catalogue are denied.
func (p *Policy) Decide(caller authn.Caller, op *operation.Operation, facts Facts) Decision {
	switch {
	case facts.OwnServiceUser:
		return Decision{Reason: ReasonOwnUser, RuleIndex: -1}
	case !p.knows(op) || caller.IsZero():
		return Decision{Reason: ReasonNoRule, RuleIndex: -1}
	}
	c := p.index.cell(caller, op.Index)
	d := Decision{Reason: ReasonNoRule, RuleIndex: -1}
	if c.shadow != 0 {
		d.Shadow = p.rules[c.shadow-1].Name
	}
	switch {
	case c.allow != 0:
		d.RuleIndex = int(c.allow) - 1
		r := &p.rules[d.RuleIndex]
		d.Effect, d.Reason, d.Rule, d.As, d.PassOrganization = Allow, ReasonAllowed, r.Name, r.As, r.pass
	case c.near != 0:
		d.RuleIndex = int(c.near) - 1
		d.Rule, d.Reason = p.rules[d.RuleIndex].Name, ReasonHazard
		if c.except {
			d.Reason = ReasonExcept
		}
	}
	return d
}

// knows reports whether op is of the catalogue that p was compiled against:
// the same index in another one is another operation.
func (p *Policy) knows(op *operation.Operation) bool {
	return p != nil && op != nil && op.Index >= 0 && op.Index < len(p.ops) && p.ops[op.Index] == op
}
