package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/policy"
)

func TestChangeIsWhatWouldAllowARefusedRequest(t *testing.T) {
	c := newCatalogue()
	ended := func(r *policy.Rule) { r.Until = time.Unix(1000, 0) }
	p := compile(t, c,
		rule("acme", []string{crm}, []string{listUsers}, within(acme, "acme-2")),
		rule("small", []string{crm}, []string{listKeys}, within(acme), when("request.pagination.limit < 10u"), ended),
		rule("wild", []string{hr}, []string{"zitadel.user.v2.UserService/*"}, func(r *policy.Rule) { r.Except = []string{setMail, listKeys} }),
	)
	keys := facts(t, listKeys, `{"pagination":{"limit":50},"filters":[{"organizationIdFilter":{"id":"`+other+`"}}]}`)
	keys.Now = time.Unix(2000, 0)
	twice := fromOrganization(facts(t, listUsers, users(other)), "third")
	own := facts(t, listUsers, users(acme))
	own.OwnServiceUser = true
	for name, g := range map[string]struct {
		caller, op string
		facts      policy.Facts
		want       string
	}{
		"an organization": {crm, listUsers, facts(t, listUsers, users(other)), `change in rule acme: organizations: ["` + acme + `", "acme-2", "` + other + `"]`},
		"two of them":     {crm, listUsers, twice, `change in rule acme: organizations: ["` + acme + `", "acme-2", "third", "` + other + `"]`},
		"no organization": {crm, listUsers, facts(t, listUsers, `{}`),
			"change the request (the list must be limited to an organization: add organization_id_query to queries) or take organizations out of rule acme"},
		"several things": {crm, listKeys, keys,
			`change in rule small: until: a later end, when: other than "request.pagination.limit < 10u", organizations: ["` + acme + `", "` + other + `"]`},
		"an unknown message":  {crm, listUsers, policy.Facts{}, ""},
		"what is allowed":     {crm, listUsers, facts(t, listUsers, users(acme)), ""},
		"own service users":   {crm, listUsers, own, ""},
		"no rule":             {crm, getUser, policy.Facts{}, `add to a rule with callers ["unix:crm"]: operations: [` + getUser + `]`},
		"a hazard":            {hr, addKey, policy.Facts{}, "in rule wild add operations: [" + addKey + "], hazards: [mints-credential, plants-credential, own-user]"},
		"except":              {hr, listKeys, policy.Facts{}, "in rule wild take " + listKeys + " out of its except"},
		"except and a hazard": {hr, setMail, policy.Facts{}, "in rule wild take " + setMail + " out of its except and add operations: [" + setMail + "], hazards: [returns-code]"},
		"the caller itself":   {crm, addMyOTP, policy.Facts{}, `add to a rule with callers ["unix:crm"] and as: caller: operations: [` + addMyOTP + "], hazards: [mints-credential]"},
		"without a token":     {"jwt:cluster/crm", addMyOTP, policy.Facts{}, ""},
		"nobody":              {crm, myAvatar, policy.Facts{}, ""},
	} {
		if got := p.Change(caller(g.caller), c.named(g.op), g.facts); got != g.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, g.want)
		}
	}
}

// What Change names is enough: with it, the request is allowed.
func TestARequestIsAllowedOnceTheRuleIsChanged(t *testing.T) {
	c := newCatalogue()
	request := fromOrganization(facts(t, listUsers, users(other)), "third")
	before := compile(t, c, rule("acme", []string{crm}, []string{listUsers}, within(acme)))
	change := before.Change(caller(crm), c.named(listUsers), request)
	_, list, _ := strings.Cut(change, "organizations: [")
	pins := strings.Fields(strings.NewReplacer(`"`, "", "]", "", ",", "").Replace(list))
	after := compile(t, c, rule("acme", []string{crm}, []string{listUsers}, within(pins...)))
	if d := after.Decide(caller(crm), c.named(listUsers), request); len(pins) != 3 || d.Effect != policy.Allow {
		t.Errorf("%q: %+v", change, d)
	}
}
