package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/organization"
)

// Change says what of which rule to change, or of the request, so that a
// request is allowed that is refused; "" where it is allowed, and where no rule
// could. It quotes the rules: it is for those who write them. [Policy.Hint],
// which knows caller and operation only, is for callers.
func (p *Policy) Change(caller authn.Caller, op *operation.Operation, facts Facts) string {
	d := p.Decide(caller, op, facts)
	switch {
	case d.Effect == Allow || d.Reason == ReasonOwnUser:
		return ""
	case d.RuleIndex < 0:
		return p.Hint(caller, op)
	}
	r := &p.rules[d.RuleIndex]
	if !r.allows.has(op.Index) {
		return r.include(op)
	}
	return r.loosen(caller, op, facts)
}

// include is how a rule of the caller comes to cover op, which it leaves out.
func (r *compiled) include(op *operation.Operation) string {
	var steps []string
	if r.excepted.has(op.Index) {
		steps = append(steps, fmt.Sprintf("take %s out of its except", op.Name))
	}
	if needed := toAccept(op, r.As); needed != 0 && !r.named.has(op.Index) {
		if ChangesItself(op) && r.As != AsCaller {
			return ""
		}
		steps = append(steps, fmt.Sprintf("add operations: [%s], hazards: [%s]", op.Name, hazardList(needed)))
	}
	return "in rule " + r.Name + " " + strings.Join(steps, " and ")
}

// loosen takes away what keeps the rule from allowing the request, one thing
// after the other, and says what that was.
func (r *compiled) loosen(caller authn.Caller, op *operation.Operation, facts Facts) string {
	var lines []string
	request, loose, pins := "", *r.guard, slices.Clip(r.guard.pins)
	for {
		_, no := loose.holds(caller, op, facts)
		switch {
		case no.reason == "":
			if len(pins) > len(r.guard.pins) {
				lines = append(lines, "organizations: ["+quoted(pins)+"]")
			}
			return r.sayLoosened(lines, request)
		case no.reason == ReasonEnded:
			lines = append(lines, "until: a later end")
			loose.until = time.Time{}
		case no.reason == ReasonOrganization && organization.IsID(no.foreign):
			pins = append(pins, no.foreign)
			loose.pins = pins
		case no.reason == ReasonOrganization:
			request, loose.pins = no.detail, nil
		case no.reason == ReasonCondition:
			lines = append(lines, fmt.Sprintf("when: other than %q", r.When))
			loose.conditions = nil
		default:
			return "" // the message is not known: nothing can be said of it
		}
	}
}

func (r *compiled) sayLoosened(lines []string, request string) string {
	var steps []string
	if len(lines) > 0 {
		steps = append(steps, "change in rule "+r.Name+": "+strings.Join(lines, ", "))
	}
	if request != "" {
		steps = append(steps, "change the request ("+request+") or take organizations out of rule "+r.Name)
	}
	return strings.Join(steps, ", and ")
}

func quoted(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = strconv.Quote(s)
	}
	return strings.Join(out, ", ")
}
