package policy_test

import (
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

const (
	crm   = "unix:crm"
	hr    = "spiffe://acme.internal/hr/payroll"
	hrAll = "spiffe://acme.internal/hr/*"
)

func rule(name string, callers, operations []string, change ...func(*policy.Rule)) policy.Rule {
	r := policy.Rule{Name: name, Callers: callers, Operations: operations, As: "reader"}
	for _, f := range change {
		f(&r)
	}
	return r
}

func compile(t testing.TB, c catalogue, rules ...policy.Rule) *policy.Policy {
	t.Helper()
	p, err := policy.Compile(c, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// expect is one line of a table: allow(caller, operation, rule) or deny(…, reason, rule).
type expect struct {
	caller, operation string
	effect            policy.Effect
	reason            policy.Reason
	rule, shadow      string
}

func allow(caller, op, rule string) expect {
	return expect{caller, op, policy.Allow, policy.ReasonAllowed, rule, ""}
}

func deny(caller, op string, reason policy.Reason, rule string) expect {
	return expect{caller, op, policy.Deny, reason, rule, ""}
}

func (e expect) shadowed(rule string) expect { e.shadow = rule; return e }

func TestZeroDecisionDenies(t *testing.T) {
	var d policy.Decision
	if d.Effect != policy.Deny || policy.Allow == policy.Deny {
		t.Fatalf("the zero decision is %+v", d)
	}
}

func TestRulesDecide(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("soon", []string{crm, hrAll}, []string{oldOrg, getUser}, func(r *policy.Rule) { r.Shadow = true }),
		rule("reads", []string{crm, hrAll}, []string{"zitadel.user.v2.UserService/*"}, func(r *policy.Rule) { r.Except = []string{listKeys, "zitadel.user.v2.UserService/SetE*"} }),
		rule("again", []string{crm}, []string{listUsers}),
		rule("payroll", []string{hr}, []string{addKey, newMethod}, func(r *policy.Rule) {
			r.Hazards = []string{"mints-credential", "plants-credential", "own-user"}
		}),
		rule("own", []string{"dns:portal.acme.internal"}, []string{getMyUser, userinfo}, func(r *policy.Rule) { r.As = policy.AsCaller }),
		rule("deep", []string{"spiffe://acme.internal/*/b", "spiffe://acme.internal/a/*"}, []string{otherUsers}),
		rule("subjects", []string{"jwt:k/ns:hr:*"}, []string{otherUsers}),
	)
	for _, e := range []expect{
		allow(crm, getUser, "reads").shadowed("soon"),
		allow(crm, listUsers, "reads"),
		deny(crm, listKeys, policy.ReasonExcept, "reads"),
		deny(crm, addKey, policy.ReasonHazard, "reads"),
		deny(crm, setMail, policy.ReasonExcept, "reads"),
		deny(crm, oldOrg, policy.ReasonNoRule, "").shadowed("soon"),
		deny(crm, newMethod, policy.ReasonNoRule, ""),
		deny(crm, otherUsers, policy.ReasonNoRule, ""),
		deny("anonymous:crm", getUser, policy.ReasonNoRule, ""),
		allow(hr, addKey, "payroll"),
		allow(hr, newMethod, "payroll"),
		allow(hr, listUsers, "reads"),
		deny("spiffe://acme.internal/hr/other", addKey, policy.ReasonHazard, "reads"),
		allow("spiffe://acme.internal/hr/other", listUsers, "reads"),
		deny("spiffe://acme.internal/hr", listUsers, policy.ReasonNoRule, ""),
		deny("spiffe://acme.internal/hr/a/b", listUsers, policy.ReasonNoRule, ""),
		deny("spiffe://evil.internal/hr/a", listUsers, policy.ReasonNoRule, ""),
		allow("dns:portal.acme.internal", getMyUser, "own"),
		allow("dns:portal.acme.internal", userinfo, "own"),
		deny("dns:portal.acme.internal", addMyOTP, policy.ReasonNoRule, ""),
		allow("spiffe://acme.internal/a/b", otherUsers, "deep"),
		allow("spiffe://acme.internal/x/b", otherUsers, "deep"),
		allow("jwt:k/ns:hr:x", otherUsers, "subjects"),
		deny("jwt:k/ns:hr:", otherUsers, policy.ReasonNoRule, ""),
		deny("jwt:k/ns:hr/x", otherUsers, policy.ReasonNoRule, ""),
		deny("jwt:other/ns:hr:x", otherUsers, policy.ReasonNoRule, ""),
	} {
		d := p.Decide(caller(e.caller), c.named(e.operation), policy.Facts{})
		got := expect{e.caller, e.operation, d.Effect, d.Reason, d.Rule, d.Shadow}
		if got != e {
			t.Errorf("got  %+v\nwant %+v", got, e)
		}
		if (d.RuleIndex >= 0) != (d.Rule != "") || (d.As != "") != (d.Effect == policy.Allow) {
			t.Errorf("decision hangs together badly: %+v", d)
		}
	}
}

func TestOwnServiceUserIsRefusedWhateverTheRule(t *testing.T) {
	c := newCatalogue()
	for _, as := range []string{"reader", policy.AsCaller} {
		p := compile(t, c, rule("all", []string{crm}, []string{userinfo}, func(r *policy.Rule) { r.As = as }))
		d := p.Decide(caller(crm), c.named(userinfo), policy.Facts{OwnServiceUser: true})
		if d.Effect != policy.Deny || d.Reason != policy.ReasonOwnUser || d.As != "" {
			t.Errorf("as %s: %+v", as, d)
		}
		if x := p.Explain(caller(crm), c.named(userinfo), policy.Facts{OwnServiceUser: true}); x[0].Allows || x[0].Decides {
			t.Errorf("as %s: %+v", as, x)
		}
	}
}

func TestNothingToDecideOnDenies(t *testing.T) {
	c, other := newCatalogue(), newCatalogue()
	p := compile(t, c, rule("reads", []string{crm}, []string{getUser}))
	var none *policy.Policy
	outside := &operation.Operation{Name: getUser, Index: 99}
	for name, d := range map[string]policy.Decision{
		"policy":          none.Decide(caller(crm), c[0], policy.Facts{}),
		"operation":       p.Decide(caller(crm), nil, policy.Facts{}),
		"caller":          p.Decide(authn.Caller{}, c[0], policy.Facts{}),
		"other catalogue": p.Decide(caller(crm), other[0], policy.Facts{}),
		"index":           p.Decide(caller(crm), outside, policy.Facts{}),
		"no rules":        compile(t, c).Decide(caller(crm), c[0], policy.Facts{}),
	} {
		if d.Effect != policy.Deny || d.RuleIndex != -1 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if none.Rules() != nil || none.Warnings() != nil || none.RequiredServiceUsers() != nil || none.Explain(caller(crm), c[0], policy.Facts{}) != nil || none.Hint(caller(crm), c[0]) != "" {
		t.Error("a nil policy has something to say")
	}
	if p.Hint(authn.Caller{}, c[0]) != "" || p.Hint(caller(crm), c[0]) != "" {
		t.Error("there is a hint where there is nothing to add")
	}
}

func TestOrganizationPassesOnlyWhenTheRuleSaysSo(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("drops", []string{crm}, []string{getUser}),
		rule("passes", []string{crm}, []string{listUsers}, func(r *policy.Rule) { r.Organizations = []string{"*"} }))
	if p.Decide(caller(crm), c[0], policy.Facts{}).PassOrganization || !p.Decide(caller(crm), c[1], policy.Facts{}).PassOrganization {
		t.Error("x-zitadel-orgid passes by the wrong rule")
	}
}

func TestCompileKeepsNoneOfItsCallersSlices(t *testing.T) {
	c := newCatalogue()
	callers := []string{crm}
	p := compile(t, c, rule("reads", callers, []string{getUser}))
	callers[0] = "unix:evil"
	if p.Decide(caller("unix:evil"), c[0], policy.Facts{}).Effect == policy.Allow {
		t.Error("changing a slice changed the policy")
	}
}

func TestCatalogueOutOfOrderIsRefused(t *testing.T) {
	c := newCatalogue()
	c[0], c[1] = c[1], c[0]
	if _, err := policy.Compile(c, nil); err == nil || !strings.Contains(err.Error(), "has index 1 at position 0") {
		t.Errorf("got %v", err)
	}
}

func TestMoreRulesThanACellCountsAreRefused(t *testing.T) {
	if _, err := policy.Compile(newCatalogue(), make([]policy.Rule, 1<<16)); err == nil || !strings.Contains(err.Error(), "65534 are the most") {
		t.Errorf("got %v", err)
	}
}

func TestEachRuleIsExplained(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("soon", []string{crm}, []string{"zitadel.user.v2.UserService/*"}, func(r *policy.Rule) { r.Shadow = true }),
		rule("others", []string{hr}, []string{getUser}),
		rule("wild", []string{crm}, []string{"zitadel.user.v2.UserService/*"}, func(r *policy.Rule) { r.Except = []string{listKeys} }),
		rule("late", []string{crm}, []string{getUser, setMail}, func(r *policy.Rule) { r.As, r.Hazards = "writer", []string{"returns-code"} }),
	)
	for op, want := range map[string]string{
		getUser:  "it covers caller and operation, and grants nothing as a shadow rule|caller \"unix:crm\" is not among its callers|it covers caller and operation|it covers caller and operation, after rule wild has decided",
		listKeys: "it covers caller and operation, and grants nothing as a shadow rule|caller \"unix:crm\" is not among its callers|" + listKeys + " is taken out by its except|" + listKeys + " is not among its operations",
		addKey:   "its wildcard leaves " + addKey + " out, which is hazardous (mints-credential, plants-credential, own-user)",
	} {
		var got []string
		for _, x := range p.Explain(caller(crm), c.named(op), policy.Facts{}) {
			got = append(got, x.Because)
		}
		if !strings.HasPrefix(strings.Join(got, "|"), want) {
			t.Errorf("%s:\ngot  %s\nwant %s", op, strings.Join(got, "|"), want)
		}
	}
}

func TestHintIsWhatWouldAllow(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c)
	if got, want := p.Hint(caller(crm), c.named(listUsers)), `add to a rule with callers ["unix:crm"]: operations: [`+listUsers+`]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := p.Hint(caller(crm), c.named(setMail)); !strings.HasSuffix(got, ", hazards: [returns-code]") {
		t.Errorf("got %s", got)
	}
}

func TestWarnings(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("first", []string{hrAll, crm}, []string{getUser, listUsers}),
		rule("covered", []string{hr}, []string{getUser}),
		rule("overlap", []string{"spiffe://acme.internal/*/payroll"}, []string{getUser, oldOrg}, func(r *policy.Rule) { r.As = "writer" }),
		rule("other", []string{hr, "unix:batch"}, []string{otherUsers}, func(r *policy.Rule) { r.As = "third" }),
		rule("apart", []string{"spiffe://acme.internal/crm"}, []string{getUser}, func(r *policy.Rule) { r.As, r.Shadow = "writer", true }),
	)
	want := []policy.Warning{
		{Rule: "covered", Index: 1, Message: "it never decides: earlier rules cover all of its callers and operations; remove it, or move it up"},
		{Rule: "overlap", Index: 2, Message: "it overlaps with rule first, which comes first and serves spiffe://acme.internal/*/payroll as reader, not writer"},
		{Rule: "overlap", Index: 2, Message: "it overlaps with rule covered, which comes first and serves spiffe://acme.internal/*/payroll as reader, not writer"},
		{Rule: "overlap", Index: 2, Message: oldOrg + " is deprecated in ZITADEL; look for its successor among the v2 services with zproxy operations"},
	}
	got := p.Warnings()
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %+v\nwant %+v", got[i], want[i])
		}
	}
	if names := strings.Join(p.Rules(), " "); names != "first covered overlap other apart" {
		t.Errorf("rules are %s", names)
	}
	if users := strings.Join(p.RequiredServiceUsers(), " "); users != "reader third writer" {
		t.Errorf("service users are %s", users)
	}
}
