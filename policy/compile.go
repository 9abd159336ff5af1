package policy

import (
	"fmt"
	"slices"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy/operation"
)

// Catalogue lists the operations that rules may name, at their indexes;
// [operation.Catalogue] is one.
type Catalogue interface {
	Operations() []*operation.Operation
}

// Policy is a set of rules, compiled against one catalogue. It is immutable and
// safe for concurrent use. A nil Policy denies everything.
type Policy struct {
	ops   []*operation.Operation
	rules []compiled
	index index
}

// compiled is a rule with its names looked up.
type compiled struct {
	Rule
	callers   []authn.Pattern
	allows    set // what the rule allows, or would if it were no shadow
	excepted  set // taken out by except
	hazardous set // covered by a wildcard but for their hazards
	named     set // by full name
	pass      bool
	guard     *guard // nil: the rule looks at caller and operation only
}

// Compile checks rules and compiles them against cat. The error, if any, is
// [Faults]: everything that is wrong, not the first thing. No rules at all are
// no fault: nothing is allowed.
func Compile(cat Catalogue, rules []Rule) (*Policy, error) {
	c := &compiler{ops: cat.Operations(), byName: make(map[operation.Name]*operation.Operation)}
	for i, op := range c.ops {
		if op.Index != i {
			return nil, fmt.Errorf("compiling rules: operation %s has index %d at position %d; use one catalogue as it was made", op.Name, op.Index, i)
		}
		c.byName[op.Name] = op
	}
	if len(rules) > maxRules {
		return nil, Faults{{Index: maxRules, Field: "rules", Item: -1,
			Message: fmt.Sprintf("there are %d rules, %d are the most", len(rules), maxRules), Fix: "give rules more callers and operations"}}
	}
	p := &Policy{ops: c.ops, rules: make([]compiled, len(rules))}
	names := make(map[string]int)
	for i, r := range rules {
		c.rule, c.at = r, i
		if before, ok := names[r.Name]; ok && r.Name != "" {
			c.fault("name", -1, fmt.Sprintf("rule #%d has this name too", before+1), "give each rule a name of its own")
		} else {
			names[r.Name] = i
		}
		p.rules[i] = c.compile()
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	p.index = newIndex(p.rules, len(p.ops))
	return p, nil
}

type compiler struct {
	ops    []*operation.Operation
	byName map[operation.Name]*operation.Operation
	faults Faults
	rule   Rule
	at     int
	looks  looking
}

func (c *compiler) fault(field string, item int, message, fix string) {
	c.faults = append(c.faults, Fault{c.rule.Name, c.at, field, item, message, fix})
}

func (c *compiler) compile() compiled {
	r := compiled{Rule: c.rule}
	r.Callers, r.Operations, r.Except = slices.Clone(r.Callers), slices.Clone(r.Operations), slices.Clone(r.Except)
	if r.Name == "" {
		c.fault("name", -1, "it is missing", "name the rule; audit records carry the name")
	}
	r.callers = c.callers()
	accepted := c.hazards()
	c.operations(&r, accepted)
	c.except(&r)
	r.pass = len(r.Organizations) == 1 && r.Organizations[0] == "*"
	c.guard(&r)
	if r.As == "" {
		c.fault("as", -1, "it is missing", "name the service user that performs the operations, or "+AsCaller)
	}
	return r
}

func (c *compiler) callers() []authn.Pattern {
	if len(c.rule.Callers) == 0 {
		c.fault("callers", -1, "nobody is named, and absent never means any", `name callers: ["unix:crm"]`)
	}
	var patterns []authn.Pattern
	for i, s := range c.rule.Callers {
		p, err := authn.ParseCallerPattern(s)
		if err != nil {
			c.fault("callers", i, err.Error(), "write it as anonymous:<listener>, unix:<name>, dns:<name>, spiffe://<trust domain>/<path> or jwt:<issuer name>/<subject>")
			continue
		}
		if slices.Index(c.rule.Callers, s) < i {
			c.fault("callers", i, fmt.Sprintf("%q is listed twice", s), "remove one")
		}
		if p.Kind() == authn.KindJWT && c.rule.As == AsCaller {
			c.fault("callers", i, fmt.Sprintf("%q proves itself by the token in Authorization, which stays at zproxy, so it has no user token there to pass on", s),
				"name a service user in as, or tell this caller by client_certificate")
		}
		patterns = append(patterns, p)
	}
	return patterns
}

func (c *compiler) hazards() operation.Hazards {
	var accepted operation.Hazards
	for i, name := range c.rule.Hazards {
		class, err := operation.ParseHazard(name)
		if err != nil {
			c.fault("hazards", i, fmt.Sprintf("%q is no class of hazards", name), "use "+hazardList(everyHazard))
		}
		accepted |= class
	}
	return accepted
}
