package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// operations fills in what r allows before except, and what its wildcards
// leave out for their hazards.
func (c *compiler) operations(r *compiled, accepted operation.Hazards) {
	r.allows, r.excepted, r.hazardous, r.named = newSet(len(c.ops)), newSet(len(c.ops)), newSet(len(c.ops)), newSet(len(c.ops))
	if len(r.Operations) == 0 {
		c.fault("operations", -1, "none is named, and absent never means any", "name operations: [zitadel.user.v2.UserService/GetUserByID]")
	}
	c.learn(r)
	var carried operation.Hazards
	for i, text := range r.Operations {
		if slices.Index(r.Operations, text) < i {
			c.fault("operations", i, fmt.Sprintf("%q is listed twice", text), "remove one")
			continue
		}
		if strings.Contains(text, "*") {
			c.wildcard(r, i, text)
			continue
		}
		op := c.find("operations", i, text)
		if op == nil {
			continue
		}
		carried |= op.Hazards
		if missing := toAccept(op, r.As) &^ accepted; missing != 0 {
			fix := fmt.Sprintf("add to the rule's hazards: [%s]", hazardList(missing))
			if r.Learn {
				fix = "name it in a rule that does not learn"
			}
			c.fault("operations", i, fmt.Sprintf("%s is hazardous (%s) and the rule does not accept that", op.Name, hazardList(op.Hazards)), fix)
		}
		c.own(r, i, op)
		r.named.add(op.Index)
		r.allows.add(op.Index)
	}
	for i, name := range r.Hazards {
		if class, err := operation.ParseHazard(name); err == nil && carried&class == 0 {
			c.fault("hazards", i, fmt.Sprintf("no operation that the rule names in full is %s", name), "remove it, or name the operation that it is meant for")
		}
	}
}

// learn checks what a rule that finds out what callers need must have.
func (c *compiler) learn(r *compiled) {
	switch {
	case !r.Learn:
		return
	case r.Until.IsZero():
		c.fault("learn", -1, "the rule has no end", "add until: <a date>")
	}
	if r.As == AsCaller {
		c.fault("learn", -1, "the rule has no service user", "name one by as")
	}
	if len(r.Hazards) > 0 {
		c.fault("hazards", -1, "a rule that learns covers no hazardous operation", "remove hazards; name such operations in a rule of their own")
	}
}

// own keeps a caller's token to the operations that it is for, and service users
// from those that would change the service user itself.
func (c *compiler) own(r *compiled, item int, op *operation.Operation) {
	if r.As != AsCaller && ChangesItself(op) {
		fix := "remove it"
		if takesCallerToken(op.Name) {
			fix = "name it in a rule with as: caller, where it changes the caller's own user"
		}
		c.fault("operations", item, fmt.Sprintf("%s changes the user whose token it is, which would be the service user itself", op.Name), fix)
	}
	if r.As == AsCaller && !r.Learn && !takesCallerToken(op.Name) {
		c.fault("operations", item, fmt.Sprintf("%s is not for the caller's own token", op.Name),
			"with as: caller name oidc/userinfo or operations of zitadel.auth.v1.AuthService, or name a service user")
	}
}

func (c *compiler) wildcard(r *compiled, item int, text string) {
	matched := c.match("operations", item, text)
	covered := 0
	for _, op := range matched {
		if op.Hazards != 0 {
			r.hazardous.add(op.Index)
			continue
		}
		covered++
		c.own(r, item, op)
		r.allows.add(op.Index)
	}
	if len(matched) > 0 && covered == 0 {
		c.fault("operations", item, fmt.Sprintf("%q covers nothing: all it could cover is hazardous", text),
			fmt.Sprintf("name operations in full, such as %s, and accept their hazards: [%s]", matched[0].Name, hazardList(matched[0].Hazards)))
	}
}

// except takes operations out, hazardous ones too: less is always safe.
func (c *compiler) except(r *compiled) {
	some := !r.allows.empty()
	all := r.allows.clone()
	for i, text := range r.Except {
		var matched []*operation.Operation
		if strings.Contains(text, "*") {
			matched = c.match("except", i, text)
		} else if op := c.find("except", i, text); op != nil {
			matched = append(matched, op)
		}
		out := len(matched) == 0
		for _, op := range matched {
			out = out || all.has(op.Index) || r.hazardous.has(op.Index)
			r.excepted.add(op.Index)
		}
		if !out {
			c.fault("except", i, fmt.Sprintf("%q takes nothing out of the rule", text), "remove it, or name what operations covers")
		}
	}
	r.allows.remove(r.excepted)
	if some && r.allows.empty() {
		c.fault("except", -1, "it leaves nothing of operations", "remove the rule, or except less")
	}
}

func (c *compiler) find(field string, item int, text string) *operation.Operation {
	if op := c.byName[operation.Name(text)]; op != nil {
		return op
	}
	fix := "list what there is with zproxy operations; an RPC that this build does not know goes under unlisted_operations"
	if near := suggest(text, c.ops); near != "" {
		fix = "did you mean " + near + "?"
	}
	c.fault(field, item, fmt.Sprintf("%q is no operation", text), fix)
	return nil
}

// match is what a wildcard could cover, hazards aside. Unlisted operations are
// unknown, so their hazards are too: no wildcard takes them in.
func (c *compiler) match(field string, item int, text string) []*operation.Operation {
	prefix, ok := strings.CutSuffix(text, "*")
	if text == "*" && field == "operations" && c.rule.Learn {
		return c.listed("")
	}
	slash := strings.IndexByte(prefix, '/')
	if !ok || strings.Contains(prefix, "*") || slash <= 0 || strings.Count(prefix, "/") != 1 {
		c.fault(field, item, fmt.Sprintf("%q has '*' where it may not stand", text),
			"'*' is the method or its tail, at the end, after a full service name: zitadel.user.v2.UserService/List*")
		return nil
	}
	if matched := c.listed(prefix); len(matched) > 0 {
		return matched
	}
	fix := "list what there is with zproxy operations"
	if near := c.service(prefix[:slash], prefix[slash+1:]); near != "" {
		fix = "did you mean " + near + "?"
	}
	c.fault(field, item, fmt.Sprintf("%q covers nothing", text), fix)
	return nil
}

// listed are the operations of the catalogue whose names begin with prefix.
func (c *compiler) listed(prefix string) []*operation.Operation {
	var matched []*operation.Operation
	for _, op := range c.ops {
		if strings.HasPrefix(string(op.Name), prefix) && !op.Unlisted {
			matched = append(matched, op)
		}
	}
	return matched
}

// service suggests a wildcard that covers something: a service spelt like this
// one with the same methods, or else an operation of this service.
func (c *compiler) service(service, method string) string {
	lower := strings.ToLower(service + "/" + method)
	best, bestDistance := "", len(lower)/4+1
	for _, op := range c.ops {
		slash := strings.IndexByte(string(op.Name), '/')
		if op.Unlisted || slash < 0 || len(op.Name) < slash+1+len(method) {
			continue
		}
		have := string(op.Name)[:slash+1+len(method)]
		if strings.HasSuffix(strings.ToLower(have), "."+lower) {
			return have + "*"
		}
		if d := distance(lower, strings.ToLower(have), bestDistance); d < bestDistance {
			best, bestDistance = have+"*", d
		}
	}
	return best
}
