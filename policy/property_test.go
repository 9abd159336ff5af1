package policy_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

var (
	someCallers = []string{crm, "anonymous:local", hr, "spiffe://acme.internal/hr/x", "spiffe://acme.internal/a/b", "spiffe://other.internal/hr/x",
		"jwt:k/hr:x", "jwt:k/hr/x", "jwt:acme.internal/hr/x"}
	somePattern = append([]string{hrAll, "spiffe://acme.internal/*/x", "spiffe://acme.internal/*/*", "spiffe://other.internal/*/x", "jwt:k/*:x", "jwt:k/hr/*", "jwt:k/hr:*", "jwt:acme.internal/*/x"}, someCallers...)
	someSelects = []string{getUser, listUsers, listKeys, addKey, setMail, oldOrg, newMethod, otherUsers,
		"zitadel.user.v2.UserService/*", "zitadel.user.v2.UserService/List*", "zitadel.org.v1.OrgService/*"}
)

// drawRules draws rules that compile: those with a fault are left out.
func drawRules(t *rapid.T, c catalogue) []policy.Rule {
	var rules []policy.Rule
	for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
		r := policy.Rule{
			Name:       string(rune('a' + i)),
			Callers:    rapid.SliceOfNDistinct(rapid.SampledFrom(somePattern), 1, 3, rapid.ID[string]).Draw(t, "callers"),
			Operations: rapid.SliceOfNDistinct(rapid.SampledFrom(someSelects), 1, 3, rapid.ID[string]).Draw(t, "operations"),
			Except:     rapid.SliceOfNDistinct(rapid.SampledFrom(someSelects), 0, 2, rapid.ID[string]).Draw(t, "except"),
			As:         rapid.SampledFrom([]string{"reader", "writer"}).Draw(t, "as"),
			Shadow:     rapid.Bool().Draw(t, "shadow"),
		}
		if slices.Contains(r.Operations, addKey) {
			r.Hazards = append(r.Hazards, "mints-credential", "plants-credential", "own-user")
		}
		if slices.Contains(r.Operations, setMail) {
			r.Hazards = append(r.Hazards, "returns-code")
		}
		if _, err := policy.Compile(c, []policy.Rule{r}); err == nil {
			rules = append(rules, r)
		}
	}
	return rules
}

// naive says in the plainest words what rules mean.
func naive(rules []policy.Rule, who authn.Caller, op *operation.Operation) (d policy.Decision) {
	d = policy.Decision{Reason: policy.ReasonNoRule, RuleIndex: -1}
	covers := func(names []string, hazards bool) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			prefix, wild := strings.CutSuffix(n, "*")
			return n == string(op.Name) || wild && strings.HasPrefix(string(op.Name), prefix) && !op.Unlisted && (hazards || op.Hazards == 0)
		})
	}
	for i, r := range rules {
		if !slices.ContainsFunc(r.Callers, func(s string) bool { p, err := authn.ParseCallerPattern(s); return err == nil && p.Match(who) }) {
			continue
		}
		excepted := covers(r.Except, true)
		switch granted := covers(r.Operations, false) && !excepted; {
		case granted && r.Shadow:
			if d.Shadow == "" {
				d.Shadow = r.Name
			}
		case granted && d.Effect == policy.Deny:
			d.Effect, d.Reason, d.Rule, d.RuleIndex, d.As = policy.Allow, policy.ReasonAllowed, r.Name, i, r.As
		case r.Shadow || d.Rule != "":
		case excepted:
			d.Reason, d.Rule, d.RuleIndex = policy.ReasonExcept, r.Name, i
		case covers(r.Operations, true):
			d.Reason, d.Rule, d.RuleIndex = policy.ReasonHazard, r.Name, i
		}
	}
	return d
}

func mustCompile(t *rapid.T, c catalogue, rules []policy.Rule) *policy.Policy {
	p, err := policy.Compile(c, rules)
	if err != nil {
		t.Fatalf("rules that compile alone do not together: %v", err)
	}
	return p
}

func TestCompiledRulesDecideAsThePlainLoop(t *testing.T) {
	c := newCatalogue()
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, c)
		p := mustCompile(t, c, rules)
		for _, s := range someCallers {
			for _, op := range c {
				if got, want := p.Decide(caller(s), op, policy.Facts{}), naive(rules, caller(s), op); got != want {
					t.Fatalf("%s %s:\ngot  %+v\nwant %+v", s, op.Name, got, want)
				}
			}
		}
	})
}

// grants lists what a policy allows.
func grants(p *policy.Policy, c catalogue) map[string]bool {
	all := make(map[string]bool)
	for _, s := range someCallers {
		for _, op := range c {
			if p.Decide(caller(s), op, policy.Facts{}).Effect == policy.Allow {
				all[s+" "+string(op.Name)] = true
			}
		}
	}
	return all
}

func TestLessRuleNeverAllowsMore(t *testing.T) {
	c := newCatalogue()
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, c)
		if len(rules) == 0 {
			return
		}
		before := grants(mustCompile(t, c, rules), c)
		at := rapid.IntRange(0, len(rules)-1).Draw(t, "at")
		less := slices.Clone(rules)
		less[at].Except = append(slices.Clone(less[at].Except), rapid.SampledFrom(someSelects).Draw(t, "out"))
		for _, changed := range [][]policy.Rule{slices.Delete(slices.Clone(rules), at, at+1), less} {
			p, err := policy.Compile(c, changed)
			if err != nil {
				continue
			}
			for granted := range grants(p, c) {
				if !before[granted] {
					t.Fatalf("%s is allowed only after taking something away", granted)
				}
			}
		}
	})
}

func TestNoWildcardCoversAHazardousOperation(t *testing.T) {
	c := newCatalogue()
	for _, op := range c {
		if op.Hazards == 0 && !op.Unlisted {
			continue
		}
		for end := strings.IndexByte(string(op.Name), '/') + 1; end <= len(op.Name); end++ {
			p, err := policy.Compile(c, []policy.Rule{rule("wild", []string{crm}, []string{string(op.Name)[:end] + "*"})})
			if err == nil && p.Decide(caller(crm), op, policy.Facts{}).Effect == policy.Allow {
				t.Errorf("%s* covers %s", string(op.Name)[:end], op.Name)
			}
		}
	}
}
