package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/condition"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/organization"
)

// guard is what a rule asks of the request itself.
type guard struct {
	until      time.Time              // the rule's end; zero: none
	pins       []string               // the organizations; empty: any
	limited    []organization.By      // by operation, of rules with pins
	conditions []*condition.Condition // by operation, of rules with a condition
	never      map[int]error          // operations for which the condition has no meaning, and why
	messages   set                    // operations whose message the guard looks into
}

// refused is why a guard does not let a request through; the zero refused: it does.
type refused struct {
	reason  Reason
	detail  string
	foreign string // the organization that is not the rule's, where it is named by id
}

// outside is why a request is not within the organizations.
func outside(err error) refused {
	no := refused{reason: ReasonOrganization, detail: err.Error()}
	var foreign *organization.ForeignError
	if errors.As(err, &foreign) {
		no.foreign = foreign.ID
	}
	return no
}

// holds judges the request. The organization is what goes upstream as x-zitadel-orgid.
func (g *guard) holds(caller authn.Caller, op *operation.Operation, facts Facts) (org string, no refused) {
	if !g.until.IsZero() && (facts.Now.IsZero() || !facts.Now.Before(g.until)) {
		return "", refused{reason: ReasonEnded, detail: "the rule ended at " + g.until.UTC().Format(time.RFC3339)}
	}
	if g.messages.has(op.Index) && facts.Message == nil {
		return "", refused{reason: ReasonUnreadable, detail: "the request message is not known"}
	}
	if len(g.pins) > 0 {
		org = facts.Organization
		switch {
		case org == "":
			org = g.pins[0]
		case !slices.Contains(g.pins, org):
			return "", outside(&organization.ForeignError{Where: "x-zitadel-orgid", ID: org})
		}
		if field := fetched(facts.Message); field != "" {
			return "", refused{reason: ReasonOrganization, detail: field + " has ZITADEL fetch what may be of any organization; send it in the request"}
		}
		request := organization.Request{Message: facts.Message, Variables: facts.Variables}
		if err := organization.Within(request, g.limited[op.Index], g.pins); err != nil {
			return "", outside(err)
		}
	}
	if g.conditions != nil {
		if err := g.never[op.Index]; err != nil {
			return "", refused{reason: ReasonCondition, detail: "its condition has no meaning for this operation: " + err.Error()}
		}
		if err := g.conditions[op.Index].Holds(facts.Message, caller.String(), string(op.Name)); err != nil {
			return "", refused{reason: ReasonCondition, detail: err.Error()}
		}
	}
	return org, refused{}
}

// fetched is the field by which ZITADEL would fetch what to do from elsewhere; "" for none.
func fetched(m protoreflect.Message) string {
	if m == nil {
		return ""
	}
	for _, f := range message.Elsewhere(m.Descriptor()) {
		if m.Has(f) {
			return string(f.Name())
		}
	}
	return ""
}

// looking is what compiling guards needs, made for the first rule that has one.
type looking struct {
	types       *message.Types
	environment *condition.Environment
}

func (l *looking) prepare(conditions bool) (err error) {
	if l.types == nil {
		if l.types, err = message.Default(); err != nil {
			return err
		}
	}
	if conditions && l.environment == nil {
		l.environment, err = condition.New(l.types)
	}
	return err
}

// guard compiles the organizations and the condition of r, for each of its operations.
func (c *compiler) guard(r *compiled) {
	pins := c.pins(r)
	looks := len(pins) > 0 || r.When != ""
	if !looks && r.Until.IsZero() {
		return
	}
	g := &guard{until: r.Until, pins: pins, messages: newSet(len(c.ops))}
	r.guard = g
	if !looks {
		return
	}
	if err := c.looks.prepare(r.When != ""); err != nil {
		c.fault("when", -1, err.Error(), "report it: this build is broken")
		return
	}
	if len(pins) > 0 {
		g.limited = make([]organization.By, len(c.ops))
	}
	if r.When != "" {
		g.conditions, g.never = make([]*condition.Condition, len(c.ops)), make(map[int]error)
	}
	before := len(c.faults)
	for _, op := range c.ops {
		if r.allows.has(op.Index) && len(c.faults) == before { // one fault is enough: the others would say the same
			c.guardOperation(g, op)
		}
	}
	c.conditionMeansSomething(r, g)
}

func (c *compiler) guardOperation(g *guard, op *operation.Operation) {
	shape, ok := c.looks.types.Of(op.Name)
	if ok {
		g.messages.add(op.Index)
	} else {
		shape = nil
	}
	if g.limited != nil {
		if op.Unlisted {
			c.fault("organizations", -1, fmt.Sprintf("%s is not in this build's catalogue, so its requests cannot be looked into", op.Name),
				"name it in a rule without organizations")
			return
		}
		g.limited[op.Index] = organization.Of(op, shape)
	}
	if g.conditions == nil {
		return
	}
	if shape == nil {
		g.never[op.Index] = errors.New("it has no request message that a condition could look into")
		return
	}
	compiled, err := c.looks.environment.Compile(c.rule.When, shape)
	if err != nil {
		g.never[op.Index] = fmt.Errorf("%w; %s", err, fieldsOf(shape))
	}
	g.conditions[op.Index] = compiled
}

// conditionMeansSomething refuses a condition that is wrong for every operation
// of the rule. One that has a meaning for some only lets the others never
// through, and [Policy.Warnings] tells of it.
func (c *compiler) conditionMeansSomething(r *compiled, g *guard) {
	for _, op := range c.ops {
		if !r.allows.has(op.Index) || g.conditions == nil {
			continue
		}
		if g.never[op.Index] == nil {
			return
		}
	}
	for _, op := range c.ops { // the first of them says it for all
		if err := g.never[op.Index]; err != nil {
			c.fault("when", -1, fmt.Sprintf("for %s: %v", op.Name, err), "write it in CEL over request, caller and operation")
			return
		}
	}
}

// fieldsOf says what a condition can look at.
func fieldsOf(shape protoreflect.MessageDescriptor) string {
	names := make([]string, shape.Fields().Len())
	for i := range names {
		names[i] = string(shape.Fields().Get(i).Name())
	}
	if len(names) == 0 {
		return "request has no fields"
	}
	return "request has " + strings.Join(names, ", ")
}

// pins are the organizations of a rule, if they are ids.
func (c *compiler) pins(r *compiled) []string {
	if r.pass {
		return nil
	}
	for i, id := range r.Organizations {
		switch {
		case id == "*":
			c.fault("organizations", i, `"*" stands beside others`, `write ["*"] alone to let the caller choose, or ids alone to keep it within them`)
		case !organization.IsID(id):
			c.fault("organizations", i, fmt.Sprintf("%q is no organization's id", id), "ids are digits, or short names that the operator chose; see the organization's page in ZITADEL's console")
		case slices.Index(r.Organizations, id) < i:
			c.fault("organizations", i, fmt.Sprintf("%q is listed twice", id), "remove one")
		}
	}
	return r.Organizations
}
