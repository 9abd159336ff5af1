package role_test

import (
	"fmt"

	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

func ExampleLeast() {
	r := role.Least([]operation.Name{
		"zitadel.user.v2.UserService/ListUsers", "zitadel.action.v2.ActionService/ListTargets", "zitadel.user.v2.UserService/CreateUser",
	}, false)
	for _, g := range r.Grants {
		for _, b := range g.Because {
			fmt.Println(g.Level, g.Roles, b.Operation, b.Permissions, b.Basis, b.Beside)
		}
	}
	// Output:
	// instance [IAM_OWNER_VIEWER] zitadel.action.v2.ActionService/ListTargets [action.target.read] measured false
	// instance [IAM_OWNER_VIEWER] zitadel.user.v2.UserService/ListUsers [user.read] measured true
	// organization [ORG_USER_MANAGER] zitadel.user.v2.UserService/CreateUser [user.write] measured false
}

func ExampleExplain() {
	for _, held := range []string{"ORG_USER_MANAGER", "ORG_OWNER_VIEWER", "PROJECT_OWNER"} {
		ok, why := role.Explain([]string{held}, "zitadel.user.v2.UserService/GetUserByID")
		fmt.Println(ok, why)
	}
	// Output:
	// true ORG_USER_MANAGER holds user.read (measured)
	// true ORG_OWNER_VIEWER holds user.read (measured)
	// false it needs user.read at level instance or organization: PROJECT_OWNER holds it, but a role of the level project does not count; without a role it works on the service user itself alone
}
