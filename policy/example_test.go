package policy_test

import (
	"fmt"

	"github.com/zproxy/zproxy/policy"
)

func ExampleCompile() {
	catalogue := newCatalogue()
	p, err := policy.Compile(catalogue, []policy.Rule{{
		Name: "crm-reads-users", Callers: []string{"unix:crm"}, Operations: []string{"zitadel.user.v2.UserService/List*"}, As: "directory-reader",
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	d := p.Decide(caller("unix:crm"), catalogue.named(listUsers), policy.Facts{})
	fmt.Println(d.Reason, d.Rule, d.As)
	d = p.Decide(caller("unix:crm"), catalogue.named(getUser), policy.Facts{})
	fmt.Println(d.Reason)
	fmt.Println(p.Hint(caller("unix:crm"), catalogue.named(getUser)))
	// Output:
	// allowed crm-reads-users directory-reader
	// no_rule
	// add to a rule with callers ["unix:crm"]: operations: [zitadel.user.v2.UserService/GetUserByID]
}
