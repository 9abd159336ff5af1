package policy_test

import (
	"fmt"
	"testing"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// thousand makes 1,000 rules over 900 operations: half name one caller each,
// a quarter a SPIFFE pattern, and a quarter the pattern of a JWT's subject.
func thousand(tb testing.TB) (*policy.Policy, catalogue) {
	var c catalogue
	for i := range 900 {
		c = append(c, &operation.Operation{Name: operation.Name(fmt.Sprintf("zitadel.test.v1.Service%d/Method%d", i/30, i)), Index: i})
	}
	var rules []policy.Rule
	for i := range 1000 {
		who := fmt.Sprintf("unix:caller%d", i)
		if i%2 == 0 {
			who = fmt.Sprintf("spiffe://acme.internal/team%d/*", i)
		}
		if i%4 == 0 {
			who = fmt.Sprintf("jwt:cluster/system:serviceaccount:team%d:*", i)
		}
		rules = append(rules, rule(fmt.Sprintf("rule%d", i), []string{who, "spiffe://acme.internal/*/all"},
			[]string{string(c[i%900].Name), "zitadel.test.v1.Service1/*"}))
	}
	return compile(tb, c, rules...), c
}

var decided = []struct{ name, caller string }{
	{"exact", "unix:caller999"},
	{"pattern", "spiffe://acme.internal/team998/worker"},
	{"subject", "jwt:cluster/system:serviceaccount:team996:worker"},
	{"two-patterns", "spiffe://acme.internal/team998/all"},
	{"stranger", "spiffe://acme.internal/nobody/worker"},
}

func BenchmarkDecide(b *testing.B) {
	p, c := thousand(b)
	for _, d := range decided {
		b.Run(d.name, func(b *testing.B) {
			who := caller(d.caller)
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(who, c[98], policy.Facts{})
			}
		})
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	p, c := thousand(t)
	for _, d := range decided {
		for _, who := range []authn.Caller{caller(d.caller), {}} {
			if n := testing.AllocsPerRun(100, func() { p.Decide(who, c[98], policy.Facts{}) }); n != 0 {
				t.Errorf("%s: %v allocations", d.name, n)
			}
		}
	}
}
