package policy

import (
	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
)

// Decide tells whether caller may perform op, and as whom. It is a pure
// function. Unless rules look into the request it does not allocate, and for
// callers that rules name in full takes the same time whatever the number of rules.
//
// A request that mentions a service user of zproxy's own is denied before any
// rule is asked. Rules are tried in file order; the first that allows decides.
// A rule whose organizations or condition do not let the request through does
// not allow, and the next is tried.
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
	if shadow := p.firstToHold(c.shadow, caller, op, facts); shadow.index >= 0 {
		d.Shadow = p.rules[shadow.index].Name
	}
	first := p.firstToHold(c.allow, caller, op, facts)
	switch {
	case first.index >= 0:
		d.RuleIndex = first.index
		r := &p.rules[first.index]
		d.Effect, d.Reason, d.Rule, d.As = Allow, ReasonAllowed, r.Name, r.As
		d.PassOrganization, d.Organization = r.pass, first.organization
		if r.Learn {
			d.Reason = ReasonLearning
		}
	case c.allow != 0:
		d.RuleIndex = int(c.allow) - 1
		d.Rule, d.Reason, d.Detail = p.rules[d.RuleIndex].Name, first.no.reason, first.no.detail
	case c.near != 0:
		d.RuleIndex = int(c.near) - 1
		d.Rule, d.Reason = p.rules[d.RuleIndex].Name, ReasonHazard
		if c.except {
			d.Reason = ReasonExcept
		}
	}
	return d
}

// held is the rule that lets a request through, or why the first one does not.
type held struct {
	index        int // -1: none
	organization string
	no           refused // by the first rule that was asked
}

// firstToHold asks the rule at position, which covers caller and operation, and
// then those after it that do too, shadow rules or others as the first is.
func (p *Policy) firstToHold(position uint16, caller authn.Caller, op *operation.Operation, facts Facts) held {
	h := held{index: -1}
	if position == 0 {
		return h
	}
	first := int(position) - 1
	for i := first; i < len(p.rules); i++ {
		r := &p.rules[i]
		if i > first && (r.Shadow != p.rules[first].Shadow || !r.allows.has(op.Index) || !r.names(caller)) {
			continue
		}
		if r.guard == nil {
			return held{index: i}
		}
		org, no := r.guard.holds(caller, op, facts)
		if no.reason == "" {
			return held{index: i, organization: org}
		}
		if i == first {
			h.no = no
		}
	}
	return h
}

// Looks tells whether Decide looks into the request message: decides if a rule
// that may allow does, shadows if a shadow rule does.
func (p *Policy) Looks(caller authn.Caller, op *operation.Operation) (decides, shadows bool) {
	if !p.knows(op) || caller.IsZero() {
		return false, false
	}
	c := p.index.cell(caller, op.Index)
	return p.looksFrom(c.allow, caller, op), p.looksFrom(c.shadow, caller, op)
}

// looksFrom follows the way of firstToHold up to a rule that looks into the
// message, or one that asks nothing.
func (p *Policy) looksFrom(position uint16, caller authn.Caller, op *operation.Operation) bool {
	if position == 0 {
		return false
	}
	first := int(position) - 1
	for i := first; i < len(p.rules); i++ {
		r := &p.rules[i]
		switch {
		case i > first && (r.Shadow != p.rules[first].Shadow || !r.allows.has(op.Index) || !r.names(caller)):
		case r.guard == nil:
			return false
		case r.guard.messages.has(op.Index):
			return true
		}
	}
	return false
}

// knows reports whether op is of the catalogue that p was compiled against:
// the same index in another one is another operation.
func (p *Policy) knows(op *operation.Operation) bool {
	return p != nil && op != nil && op.Index >= 0 && op.Index < len(p.ops) && p.ops[op.Index] == op
}
