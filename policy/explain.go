package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/organization"
)

// Consideration is what one rule has to say about a request.
type Consideration struct {
	Rule    string
	Index   int    // the rule's position, from 0
	Allows  bool   // the rule covers the request; a shadow rule grants nothing all the same
	Depends bool   // the rule covers caller and operation, and the request message is not known
	Shadow  bool   // the rule is a shadow rule
	Decides bool   // it is the rule that allowed the request
	Because string // one clause: "caller unix:crm is not among its callers"
}

// Explain tells of each rule, in file order, why it allows the request or does not.
func (p *Policy) Explain(caller authn.Caller, op *operation.Operation, facts Facts) []Consideration {
	if !p.knows(op) {
		return nil
	}
	d := p.Decide(caller, op, facts)
	all := make([]Consideration, len(p.rules))
	for i := range p.rules {
		r := &p.rules[i]
		c := Consideration{Rule: r.Name, Index: i, Shadow: r.Shadow, Decides: d.Effect == Allow && d.RuleIndex == i}
		c.Allows, c.Because = r.because(caller, op, facts)
		c.Depends = !c.Allows && r.guard != nil && r.names(caller) && r.allows.has(op.Index) && r.guard.messages.has(op.Index) &&
			facts.Message == nil && !facts.OwnServiceUser
		if c.Allows && d.Effect == Allow && !c.Decides && !c.Shadow {
			c.Because += ", after rule " + d.Rule + " has decided"
		}
		all[i] = c
	}
	return all
}

func (r *compiled) because(caller authn.Caller, op *operation.Operation, facts Facts) (bool, string) {
	switch {
	case facts.OwnServiceUser:
		return false, "the request mentions one of zproxy's own service users, which no rule allows"
	case !r.names(caller):
		return false, fmt.Sprintf("caller %q is not among its callers", caller)
	case r.excepted.has(op.Index):
		return false, fmt.Sprintf("%s is taken out by its except", op.Name)
	case r.allows.has(op.Index) && r.guard != nil:
		return r.guardBecause(caller, op, facts)
	case r.allows.has(op.Index) && r.Shadow:
		return true, "it covers caller and operation, and grants nothing as a shadow rule"
	case r.allows.has(op.Index):
		return true, "it covers caller and operation"
	case r.hazardous.has(op.Index):
		return false, fmt.Sprintf("its wildcard leaves %s out, which is hazardous (%s)", op.Name, hazardList(op.Hazards))
	}
	return false, fmt.Sprintf("%s is not among its operations", op.Name)
}

func (r *compiled) guardBecause(caller authn.Caller, op *operation.Operation, facts Facts) (bool, string) {
	_, no := r.guard.holds(caller, op, facts)
	switch {
	case facts.Message == nil && r.guard.messages.has(op.Index):
		return false, "it covers caller and operation if the request " + r.guard.asks(op)
	case no.reason != "":
		return false, no.detail
	case r.Shadow:
		return true, "it covers the request, which " + r.guard.asks(op) + ", and grants nothing as a shadow rule"
	}
	return true, "it covers the request, which " + r.guard.asks(op)
}

// asks is what the guard asks of a request for op, as the end of a sentence.
func (g *guard) asks(op *operation.Operation) string {
	var all []string
	if len(g.pins) > 0 {
		by := "; nothing but the service user's roles limits what it reaches"
		if limited := g.limited[op.Index]; limited != organization.Nothing {
			by = ", by " + limited.String()
		}
		all = append(all, "stays within organizations "+strings.Join(g.pins, ", ")+by)
	}
	if g.conditions != nil {
		all = append(all, "meets its condition")
	}
	if !g.until.IsZero() {
		all = append(all, "comes before "+g.until.UTC().Format(time.RFC3339))
	}
	return strings.Join(all, " and ")
}

func (r *compiled) names(caller authn.Caller) bool {
	return slices.ContainsFunc(r.callers, func(p authn.Pattern) bool { return p.Match(caller) })
}

// Hint is the line of YAML that would allow op for caller, "" where none would
// because there is no such caller or operation, or no rule may have it, and
// where it is allowed already.
func (p *Policy) Hint(caller authn.Caller, op *operation.Operation) string {
	if !p.knows(op) || caller.IsZero() || p.index.cell(caller, op.Index).allow != 0 {
		return ""
	}
	who, hazards := fmt.Sprintf("callers [%q]", caller), op.Hazards
	if ChangesItself(op) {
		if !takesCallerToken(op.Name) || caller.Kind() == authn.KindJWT {
			return ""
		}
		who, hazards = who+" and as: caller", toAccept(op, AsCaller)
	}
	hint := fmt.Sprintf("add to a rule with %s: operations: [%s]", who, op.Name)
	if hazards != 0 {
		hint += fmt.Sprintf(", hazards: [%s]", hazardList(hazards))
	}
	return hint
}

// Rules are the names of the rules, in file order.
func (p *Policy) Rules() []string {
	if p == nil {
		return nil
	}
	names := make([]string, len(p.rules))
	for i, r := range p.rules {
		names[i] = r.Name
	}
	return names
}

// RequiredServiceUsers are the service users that rules attach, sorted. Shadow
// rules attach none.
func (p *Policy) RequiredServiceUsers() []string {
	if p == nil {
		return nil
	}
	var users []string
	for _, r := range p.rules {
		if !r.Shadow && r.As != AsCaller {
			users = append(users, r.As)
		}
	}
	slices.Sort(users)
	return slices.Compact(users)
}
