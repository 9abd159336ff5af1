package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

const (
	acme  = "287345091734012345"
	other = "287345091734019999"
)

func within(ids ...string) func(*policy.Rule) {
	return func(r *policy.Rule) { r.Organizations = ids }
}

func when(expression string) func(*policy.Rule) {
	return func(r *policy.Rule) { r.When = expression }
}

func shadow(r *policy.Rule) { r.Shadow = true }

func as(user string) func(*policy.Rule) { return func(r *policy.Rule) { r.As = user } }

// facts are those of a request for op with this JSON body.
func facts(t testing.TB, op, body string) policy.Facts {
	t.Helper()
	types, err := message.Default()
	if err != nil {
		t.Fatal(err)
	}
	m, err := types.Read(operation.Name(op), message.Source{JSON: true, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return policy.Facts{Message: m}
}

func fromOrganization(f policy.Facts, id string) policy.Facts { f.Organization = id; return f }

func users(id string) string {
	return `{"queries":[{"organizationIdQuery":{"organizationId":"` + id + `"}}]}`
}

func TestOrganizationsKeepARequestWithin(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c, rule("acme", []string{crm}, []string{listUsers, getUser}, within(acme, "acme-2")))
	for name, g := range map[string]struct {
		op           string
		facts        policy.Facts
		organization string // "" for denied
		detail       string
	}{
		"the organization":               {listUsers, facts(t, listUsers, users(acme)), acme, ""},
		"another of the rule's":          {listUsers, facts(t, listUsers, users("acme-2")), acme, ""},
		"chosen by the header":           {listUsers, fromOrganization(facts(t, listUsers, users("acme-2")), "acme-2"), "acme-2", ""},
		"a header from outside":          {listUsers, fromOrganization(facts(t, listUsers, users(acme)), other), "", "x-zitadel-orgid names"},
		"an organization from outside":   {listUsers, facts(t, listUsers, users(other)), "", "queries[0].organization_id_query.organization_id names"},
		"no organization":                {listUsers, facts(t, listUsers, `{}`), "", "add organization_id_query to queries"},
		"an id that cannot be limited":   {getUser, facts(t, getUser, `{"userId":"1"}`), acme, ""},
		"a message that nobody has read": {listUsers, policy.Facts{}, "", "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			d := p.Decide(caller(crm), c.named(g.op), g.facts)
			if (d.Effect == policy.Allow) != (g.organization != "") || d.Organization != g.organization || d.PassOrganization || d.Rule != "acme" {
				t.Errorf("got %+v", d)
			}
			if !strings.Contains(d.Detail, g.detail) || (d.Detail == "") != (g.detail == "") {
				t.Errorf("the detail is %q, want it to say %q", d.Detail, g.detail)
			}
		})
	}
}

func TestConditionsDecide(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c, rule("small", []string{crm, hrAll}, []string{listUsers, listKeys},
		when(`(operation.endsWith("ListKeys") || caller == "unix:crm") && request.pagination.limit < 10u`), func(r *policy.Rule) { r.Operations = []string{listKeys} }))
	yes, no := facts(t, listKeys, `{"pagination":{"limit":5}}`), facts(t, listKeys, `{"pagination":{"limit":50}}`)
	if d := p.Decide(caller(hr), c.named(listKeys), yes); d.Effect != policy.Allow || d.Organization != "" {
		t.Errorf("got %+v", d)
	}
	if d := p.Decide(caller(hr), c.named(listKeys), no); d.Effect != policy.Deny || d.Reason != policy.ReasonCondition || d.Detail == "" {
		t.Errorf("got %+v", d)
	}
	if d := p.Decide(caller(hr), c.named(listKeys), policy.Facts{}); d.Effect != policy.Deny || d.Reason != policy.ReasonUnreadable {
		t.Errorf("got %+v", d)
	}
}

func TestARuleThatDoesNotLetARequestThroughLeavesItToTheNext(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("shadow-other", []string{hr}, []string{listUsers}, within(other), shadow),
		rule("shadow-acme", []string{hrAll}, []string{listUsers}, within(acme), shadow),
		rule("somebody-else", []string{crm}, []string{listUsers}, as("crm")),
		rule("acme", []string{hr}, []string{listUsers}, within(acme), as("acme")),
		rule("keys", []string{hr}, []string{listKeys}, as("keys")),
		rule("other", []string{hrAll}, []string{listUsers}, within(other), as("other")),
	)
	for organization, want := range map[string][3]string{
		acme: {"acme", "acme", "shadow-acme"}, other: {"other", "other", "shadow-other"}, "third": {"acme", "", ""},
	} {
		d := p.Decide(caller(hr), c.named(listUsers), facts(t, listUsers, users(organization)))
		if got := [3]string{d.Rule, d.As, d.Shadow}; got != want || (d.Effect == policy.Allow) != (want[1] != "") {
			t.Errorf("%s: got %+v, want %v", organization, d, want)
		}
	}
}

func TestOnlyRulesThatLookIntoMessagesNeedThem(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("plain", []string{crm}, []string{listKeys}),
		rule("late", []string{crm}, []string{listKeys, listUsers}, within(acme)),
		rule("dark", []string{hr}, []string{getUser}, when("true"), shadow),
		rule("no-message", []string{hr}, []string{userinfo}, within(acme)),
	)
	for _, e := range []struct {
		caller, op       string
		decides, shadows bool
	}{
		{crm, listKeys, false, false}, {crm, listUsers, true, false}, {crm, getUser, false, false},
		{hr, getUser, false, true}, {hr, userinfo, false, false}, {hr, listUsers, false, false},
	} {
		if decides, shadows := p.Looks(caller(e.caller), c.named(e.op)); decides != e.decides || shadows != e.shadows {
			t.Errorf("%s, %s: %t, %t", e.caller, e.op, decides, shadows)
		}
	}
	ends := compile(t, c,
		rule("ends", []string{crm}, []string{listUsers, getUser}, func(r *policy.Rule) { r.Until = time.Unix(1, 0) }),
		rule("somebody-else", []string{hr}, []string{listUsers}, within(other)),
		rule("acme", []string{crm}, []string{listUsers}, within(acme)),
		rule("rest", []string{crm}, []string{getUser}))
	if decides, _ := ends.Looks(caller(crm), c.named(listUsers)); !decides {
		t.Error("a rule behind one that has ended is not seen to look into the message")
	}
	if decides, _ := ends.Looks(caller(crm), c.named(getUser)); decides {
		t.Error("a rule that asks nothing is seen to look into the message")
	}
	if d := ends.Decide(caller(crm), c.named(listUsers), facts(t, listUsers, users(acme))); d.Rule != "acme" {
		t.Errorf("got %+v", d)
	}
	if decides, shadows := p.Looks(caller(crm), newCatalogue().named(listUsers)); decides || shadows {
		t.Error("looks into a message of another catalogue")
	}
}

func TestExplainTellsWhatDependsOnTheRequest(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("acme", []string{crm}, []string{listUsers, getUser}, within(acme), when("true")),
		rule("dark", []string{crm}, []string{listUsers}, when("true"), shadow),
		rule("info", []string{crm}, []string{userinfo}, within(acme)))
	get := func(op string, f policy.Facts) []policy.Consideration { return p.Explain(caller(crm), c.named(op), f) }
	open := get(listUsers, policy.Facts{})
	if !open[0].Depends || open[0].Allows || !open[1].Depends || !strings.Contains(open[0].Because, "by a filter of the list and meets its condition") {
		t.Errorf("without a message: %+v", open)
	}
	known := get(listUsers, facts(t, listUsers, users(acme)))
	if !known[0].Decides || !known[0].Allows || known[0].Depends || !known[1].Allows || !strings.Contains(known[1].Because, "grants nothing") {
		t.Errorf("with a message: %+v", known)
	}
	if foreign := get(listUsers, facts(t, listUsers, users(other))); foreign[0].Allows || foreign[0].Depends || !strings.Contains(foreign[0].Because, other) {
		t.Errorf("from outside: %+v", foreign)
	}
	if byID := get(getUser, policy.Facts{}); !strings.Contains(byID[0].Because, "nothing but the service user's roles limits") {
		t.Errorf("by id: %+v", byID)
	}
	if info := get(userinfo, policy.Facts{}); !info[2].Decides || info[2].Depends {
		t.Errorf("without a request message: %+v", info)
	}
}

func TestWarningsNameWhatOrganizationsCannotLimit(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("acme", []string{crm}, []string{listUsers, getUser}, within(acme)),
		rule("the-rest", []string{crm}, []string{listUsers, getUser}, as("another")))
	got := p.Warnings()
	if len(got) != 1 || got[0].Rule != "acme" || !strings.Contains(got[0].Message, "cannot limit "+getUser+":") ||
		!strings.HasSuffix(got[0].Message, "only a condition that names the targets helps, or a service user with roles in these organizations alone") {
		t.Errorf("got %+v", got)
	}
}

func TestWarningsNameConditionsThatAreNone(t *testing.T) {
	c := newCatalogue()
	for expression, want := range map[string]string{
		"false": "holds for no request", "true": "holds for every request", `false && request.query.offset > 1u`: "holds for no request",
		`request.query.offset > 1u || 1 < 2`: "holds for every request", `operation == "another"`: "holds for no request",
		`operation.endsWith("ListUsers")`: "holds for every request", `request.query.offset > 1u`: "", `caller == "unix:crm"`: "",
		`has(request.query) || false`: "", `size(caller) / 0 == 1 && true`: "",
	} {
		var got []string
		for _, w := range compile(t, c, rule("one", []string{crm}, []string{listUsers}, when(expression))).Warnings() {
			got = append(got, w.Message)
		}
		if len(got) > 1 || (len(got) == 1) != (want != "") || want != "" && !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", expression, got)
		}
	}
	mixed := compile(t, c, rule("two", []string{crm}, []string{listUsers, getUser}, when(`operation.endsWith("ListUsers")`)))
	if got := mixed.Warnings(); len(got) != 0 {
		t.Errorf("a condition that chooses operations: %+v", got)
	}
}

func TestNoHintWhereARuleCoversTheOperation(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c, rule("acme", []string{crm}, []string{listUsers}, within(acme)))
	if hint := p.Hint(caller(crm), c.named(listUsers)); hint != "" {
		t.Errorf("hint %q would not help", hint)
	}
}

func TestRulesThatLearnCoverWhatHasNoHazardUntilTheyEnd(t *testing.T) {
	c := newCatalogue()
	end := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	learn := func(r *policy.Rule) { r.Learn, r.Until = true, end }
	p := compile(t, c, rule("fixed", []string{crm}, []string{getUser}, as("fixed")), rule("learns", []string{crm}, []string{"*"}, learn))
	before, after := policy.Facts{Now: end.Add(-time.Second)}, policy.Facts{Now: end}
	for _, op := range c {
		d := p.Decide(caller(crm), op, before)
		want := op.Hazards == 0 && !op.Unlisted
		switch {
		case string(op.Name) == getUser:
			if d.Rule != "fixed" || d.Reason != policy.ReasonAllowed {
				t.Errorf("%s: %+v", op.Name, d)
			}
			continue
		case (d.Effect == policy.Allow) != want || want && (d.Reason != policy.ReasonLearning || d.As != "reader"):
			t.Errorf("%s before the end: %+v", op.Name, d)
		}
		for _, f := range []policy.Facts{after, {}} {
			if d := p.Decide(caller(crm), op, f); d.Effect != policy.Deny || want && d.Reason != policy.ReasonEnded {
				t.Errorf("%s at %v: %+v", op.Name, f.Now, d)
			}
		}
	}
	if d := p.Decide(caller(hr), c.named(listUsers), before); d.Effect != policy.Deny {
		t.Errorf("another caller: %+v", d)
	}
	if all := p.Explain(caller(crm), c.named(listUsers), before); !all[1].Decides || !strings.Contains(all[1].Because, "before 2026-04-01") {
		t.Errorf("explained as %+v", all)
	}
}

func TestServicesAreWhatRulesHaveAServiceUserDo(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("acme", []string{crm}, []string{listUsers, getUser}, within(acme)),
		rule("other", []string{hr}, []string{listUsers}, within(other, acme)),
		rule("bare", []string{hr}, []string{getUser}),
		rule("judged", []string{hr}, []string{listKeys}, when("true")),
		rule("ends", []string{hr}, []string{otherUsers}, func(r *policy.Rule) { r.Until = time.Unix(1, 0) }),
		rule("dark", []string{hr}, []string{userinfo}, shadow),
		rule("learns", []string{hr}, []string{"*"}, func(r *policy.Rule) { r.Learn, r.Until = true, time.Unix(1, 0) }),
		rule("writes", []string{hr}, []string{oldOrg}, as("writer")),
	)
	got := map[string]policy.Service{}
	for _, s := range p.Services("reader") {
		got[string(s.Operation.Name)] = s
	}
	if len(got) != 4 {
		t.Errorf("%d operations: %+v", len(got), got)
	}
	if s := got[listUsers]; strings.Join(s.Rules, " ") != "acme other" || strings.Join(s.Within, " ") != acme+" "+other || s.Bare {
		t.Errorf("ListUsers: %+v", s)
	}
	if s := got[getUser]; strings.Join(s.Rules, " ") != "acme bare" || s.Within != nil || !s.Bare {
		t.Errorf("GetUserByID: %+v", s)
	}
	byID := compile(t, c, rule("acme", []string{crm}, []string{getUser}, within(acme))).Services("reader")[0]
	if len(byID.Within) != 1 || !byID.Bare {
		t.Errorf("organizations do not limit what is named by id: %+v", byID)
	}
	if s := compile(t, c, rule("one", []string{crm}, []string{getUser}, within(acme), when(`request.user_id == "1"`))).Services("reader")[0]; s.Bare {
		t.Errorf("a condition does: %+v", s)
	}
	if s := got[listKeys]; s.Bare || s.Within != nil {
		t.Errorf("ListKeys: %+v", s)
	}
	if s := got[otherUsers]; !s.Bare {
		t.Errorf("an end asks nothing of the request: %+v", s)
	}
	var none *policy.Policy
	if none.Services("reader") != nil || none.Callers() != nil || none.Operations() != nil {
		t.Error("no policy has services, callers or operations")
	}
}

func TestManyOperationsThatOrganizationsCannotLimitAreCounted(t *testing.T) {
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(c, []policy.Rule{rule("acme", []string{crm}, []string{"zitadel.user.v2.UserService/*"}, within(acme))})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Warnings(); len(got) != 1 || !strings.Contains(got[0].Message, " more: requests name their target by id") {
		t.Errorf("got %+v", got)
	}
}

func TestAConditionWithoutMeaningForAnOperationNeverHoldsThere(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("by-id", []string{crm}, []string{getUser, listUsers, userinfo}, when(`request.user_id == "1"`)),
		rule("keys", []string{crm}, []string{listUsers}, within(acme), as("other")))
	if d := p.Decide(caller(crm), c.named(getUser), facts(t, getUser, `{"userId":"1"}`)); d.Effect != policy.Allow || d.Rule != "by-id" {
		t.Errorf("got %+v", d)
	}
	if d := p.Decide(caller(crm), c.named(listUsers), facts(t, listUsers, users(other))); d.Effect != policy.Deny || d.Reason != policy.ReasonCondition || !strings.Contains(d.Detail, "undefined field 'user_id'") {
		t.Errorf("got %+v", d)
	}
	if d := p.Decide(caller(crm), c.named(listUsers), facts(t, listUsers, users(acme))); d.Rule != "keys" {
		t.Errorf("the next rule is not asked: %+v", d)
	}
	if d := p.Decide(caller(crm), c.named(userinfo), policy.Facts{}); d.Effect != policy.Deny || !strings.Contains(d.Detail, "no request message") {
		t.Errorf("got %+v", d)
	}
	var told []string
	for _, w := range p.Warnings() {
		told = append(told, w.Message)
	}
	text := strings.Join(told, "\n")
	if !strings.Contains(text, "it never allows "+listUsers+": its condition has no meaning there") || !strings.Contains(text, "it never allows "+userinfo) || strings.Contains(text, "it never allows "+getUser) {
		t.Errorf("warnings:\n%s", text)
	}
}

func TestWildcardsAreToldWithWhatTheyCover(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("wild", []string{crm}, []string{"zitadel.user.v2.UserService/List*", listUsers, getUser}),
		rule("named", []string{crm}, []string{getUser}))
	got := p.Wildcards()
	if len(got) != 1 || got[0].Rule != "wild" || len(got[0].Covers) != 1 || string(got[0].Covers[0].Name) != listKeys {
		t.Errorf("got %+v", got)
	}
	var none *policy.Policy
	if none.Wildcards() != nil {
		t.Error("no policy has wildcards")
	}
}

func TestDeprecatedOperationsHaveSuccessors(t *testing.T) {
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(c, []policy.Rule{rule("old", []string{crm}, []string{"zitadel.management.v1.ManagementService/GetUserByID", "zitadel.management.v1.ManagementService/GetSupportedLanguages"})})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, w := range p.Warnings() {
		told = append(told, w.Message)
	}
	text := strings.Join(told, "\n")
	if !strings.Contains(text, "GetUserByID is deprecated in ZITADEL; its successor seems to be zitadel.user.v2.UserService/GetUserByID") ||
		!strings.Contains(text, "GetSupportedLanguages is deprecated in ZITADEL; look for its successor") {
		t.Errorf("got:\n%s", text)
	}
}

func TestExplainSaysOfEachRuleWhetherItCovers(t *testing.T) {
	c := newCatalogue()
	p := compile(t, c,
		rule("somebody-else", []string{hr}, []string{listUsers}),
		rule("excepts", []string{crm}, []string{"zitadel.user.v2.UserService/*"}, func(r *policy.Rule) { r.Except = []string{listUsers} }),
		rule("another", []string{crm}, []string{getUser}),
		rule("dark", []string{crm}, []string{listUsers}, shadow),
		rule("first", []string{crm}, []string{listUsers}),
		rule("second", []string{crm}, []string{listUsers}))
	want := []bool{false, false, false, true, true, true}
	for i, got := range p.Explain(caller(crm), c.named(listUsers), policy.Facts{}) {
		if got.Allows != want[i] || got.Decides != (got.Rule == "first") || got.Depends {
			t.Errorf("%+v, want it to cover: %t", got, want[i])
		}
	}
	for _, got := range p.Explain(caller(crm), c.named(listUsers), policy.Facts{OwnServiceUser: true}) {
		if got.Allows || got.Decides || got.Depends {
			t.Errorf("aimed at a service user of ours: %+v", got)
		}
	}
	for _, got := range p.Explain(caller(crm), c.named(addKey), policy.Facts{}) {
		if got.Allows {
			t.Errorf("hazardous: %+v", got)
		}
	}
}
