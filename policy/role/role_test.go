package role_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

func rpcs(t testing.TB) []operation.Name {
	t.Helper()
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	var all []operation.Name
	for _, op := range c.Operations() {
		if strings.HasPrefix(string(op.Name), "zitadel.") {
			all = append(all, op.Name)
		}
	}
	return all
}

func TestEveryRPCHasANeedWithItsBasis(t *testing.T) {
	bases := map[role.Basis]int{}
	for _, name := range rpcs(t) {
		n, ok := role.Lookup(name)
		if !ok {
			t.Errorf("%s is not known", name)
			continue
		}
		bases[n.Basis]++
		switch {
		case n.Kind == role.Permission && (len(n.Permissions) == 0 || len(n.Levels) == 0):
			t.Errorf("%s needs a permission that is not told: %+v", name, n)
		case n.Kind == role.Depends && len(n.Variants) < 2:
			t.Errorf("%s depends on nothing: %+v", name, n)
		}
	}
	if bases[role.Measured] != 397 || bases[role.Declared] != 499 || bases[role.Source] != 3 {
		t.Errorf("bases %v", bases)
	}
	if len(role.Roles()) != 26 {
		t.Errorf("%d roles", len(role.Roles()))
	}
	if _, ok := role.Lookup("oidc/keys"); ok {
		t.Error("an operation that is no RPC has a need")
	}
}

const (
	users2   = "zitadel.user.v2.UserService/"
	projects = "zitadel.project.v2.ProjectService/"
	perms    = "zitadel.internal_permission.v2.InternalPermissionService/"
)

// grants writes what is needed in one line: "instance IAM_OWNER; organization ORG_OWNER".
func grants(r role.Requirement) string {
	var all []string
	for _, g := range r.Grants {
		all = append(all, string(g.Level)+" "+strings.Join(g.Roles, "+"))
	}
	return strings.Join(all, "; ")
}

func TestLeastRoles(t *testing.T) {
	for _, c := range []struct {
		ops  string
		want string
	}{
		{users2 + "ListUsers " + users2 + "GetUserByID", "organization ORG_OWNER_VIEWER"},
		{users2 + "CreateUser", "organization ORG_USER_MANAGER"},
		{users2 + "CreateUser " + users2 + "ListUsers", "organization ORG_USER_MANAGER"},
		{users2 + "RegisterTOTP", "organization ORG_OWNER"},
		{"zitadel.action.v2.ActionService/CreateTarget", "instance IAM_OWNER"},
		{"zitadel.action.v2.ActionService/ListTargets", "instance IAM_OWNER_VIEWER"},
		{"zitadel.admin.v1.AdminService/ListEvents", "instance IAM_OWNER_VIEWER"},
		{"zitadel.session.v2.SessionService/CreateSession", "instance IAM_LOGIN_CLIENT"},
		{projects + "GetProject", "project PROJECT_OWNER_VIEWER_GLOBAL"},
		{projects + "GetProject " + users2 + "ListUsers", "organization ORG_OWNER_VIEWER"},
		{"zitadel.system.v1.SystemService/ListInstances", ""},
		{"zitadel.auth.v1.AuthService/GetMyUser", ""},
		{perms + "CreateAdministrator", ""},
	} {
		var ops []operation.Name
		for _, name := range strings.Fields(c.ops) {
			ops = append(ops, operation.Name(name))
		}
		if got := grants(role.Least(ops, false)); got != c.want {
			t.Errorf("%s: needs %q, want %q", c.ops, got, c.want)
		}
	}
}

func TestWhatNeedsNoRoleIsToldApart(t *testing.T) {
	r := role.Least([]operation.Name{
		"zitadel.system.v1.SystemService/ListInstances", "zitadel.auth.v1.AuthService/GetMyUser", perms + "CreateAdministrator", "scim/Users.List",
		"zitadel.auth.v1.AuthService/GetMyUser",
	}, false)
	if len(r.SystemOnly) != 1 || len(r.Nothing) != 1 || len(r.Choices) != 1 || len(r.Unknown) != 1 || len(r.Grants) != 0 || len(r.Nobody) != 0 {
		t.Errorf("got %+v", r)
	}
	within := role.Least([]operation.Name{perms + "CreateAdministrator"}, true)
	if grants(within) != "organization ORG_OWNER" || within.Grants[0].Because[0].Basis != role.Measured {
		t.Errorf("within organizations: %+v", within)
	}
}

func TestRolesCombineWhereNoneFitsAlone(t *testing.T) {
	r := role.Least([]operation.Name{"zitadel.action.v2.ActionService/CreateTarget", "zitadel.session.v2.SessionService/CreateSession", users2 + "ListUsers"}, false)
	if got := grants(r); got != "instance IAM_OWNER" { // which also creates sessions and reads users
		t.Errorf("got %s", got)
	}
}

// The roles permit every operation that forced them, and more operations never need less.
func TestRolesPermitWhatForcedThem(t *testing.T) {
	all := rpcs(t)
	rapid.Check(t, func(t *rapid.T) {
		ops := rapid.SliceOfN(rapid.SampledFrom(all), 1, 12).Draw(t, "operations")
		r := role.Least(ops, rapid.Bool().Draw(t, "within"))
		var roles []string
		told := slices.Concat(r.Nothing, r.SystemOnly, r.Choices, r.Nobody, r.Unknown)
		for _, g := range r.Grants {
			roles = append(roles, g.Roles...)
			for _, b := range g.Because {
				told = append(told, b.Operation)
			}
		}
		for _, g := range r.Grants {
			for _, b := range g.Because {
				if !role.Permits(roles, b.Operation) {
					t.Fatalf("%v do not permit %s", roles, b.Operation)
				}
			}
		}
		for _, op := range ops {
			if n := len(slices.DeleteFunc(slices.Clone(told), func(o operation.Name) bool { return o != op })); n != 1 {
				t.Fatalf("%s is told of %d times in %+v", op, n, r)
			}
		}
		for _, op := range role.Beyond(roles, ops) {
			if slices.Contains(ops, op) || !role.Permits(roles, op) {
				t.Fatalf("%s is not beyond", op)
			}
		}
	})
}

func TestPermits(t *testing.T) {
	for _, c := range []struct {
		roles string
		op    operation.Name
		want  bool
	}{
		{"ORG_USER_MANAGER", users2 + "CreateUser", true}, {"ORG_OWNER_VIEWER", users2 + "CreateUser", false}, {"", users2 + "CreateUser", false},
		{"", "zitadel.auth.v1.AuthService/GetMyUser", true}, {"ORG_OWNER", perms + "CreateAdministrator", true}, {"ORG_OWNER_VIEWER", perms + "CreateAdministrator", false},
		{"IAM_OWNER", "zitadel.system.v1.SystemService/ListInstances", false}, {"IAM_OWNER", "scim/Bulk", false}, {"NO_SUCH_ROLE", users2 + "CreateUser", false},
	} {
		if got := role.Permits(strings.Fields(c.roles), c.op); got != c.want {
			t.Errorf("%s permits %s: %t", c.roles, c.op, got)
		}
	}
}

func ExampleLeast() {
	r := role.Least([]operation.Name{"zitadel.user.v2.UserService/ListUsers", "zitadel.action.v2.ActionService/ListTargets"}, false)
	for _, g := range r.Grants {
		for _, b := range g.Because {
			fmt.Println(g.Level, g.Roles, b.Operation, b.Permissions, b.Basis)
		}
	}
	// Output:
	// instance [IAM_OWNER_VIEWER] zitadel.action.v2.ActionService/ListTargets [action.target.read] measured
	// instance [IAM_OWNER_VIEWER] zitadel.user.v2.UserService/ListUsers [user.read] measured
}
