package role_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

const (
	users      = "zitadel.user.v2.UserService/"
	projects   = "zitadel.project.v2.ProjectService/"
	members    = "zitadel.internal_permission.v2.InternalPermissionService/"
	sessions   = "zitadel.session.v2.SessionService/"
	actions    = "zitadel.action.v2.ActionService/"
	management = "zitadel.management.v1.ManagementService/"
	auth       = "zitadel.auth.v1.AuthService/"
	system     = "zitadel.system.v1.SystemService/"
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
	bases, kinds, unbound, context := map[role.Basis]int{}, map[role.Kind]int{}, 0, 0
	for _, name := range rpcs(t) {
		n, ok := role.Lookup(name)
		if !ok {
			t.Errorf("%s is not known", name)
			continue
		}
		bases[n.Basis]++
		kinds[n.Kind]++
		if n.Unbound {
			unbound++
		}
		if n.OrgContext {
			context++
		}
		switch {
		case n.Kind == role.Permission && (len(n.Permissions) == 0 || len(n.Levels) == 0):
			t.Errorf("%s needs a permission that is not told: %+v", name, n)
		case n.Kind == role.Depends && len(n.Variants) < 2:
			t.Errorf("%s depends on nothing: %+v", name, n)
		}
	}
	if bases[role.Measured] != 397 || bases[role.Declared] != 499 || bases[role.Source] != 3 || len(bases) != 3 {
		t.Errorf("bases %v", bases)
	}
	if kinds[role.Permission] != 802 || kinds[role.Token] != 81 || kinds[role.None] != 7 || kinds[role.Depends] != 9 {
		t.Errorf("kinds %v", kinds)
	}
	if unbound != 20 || context != 330 {
		t.Errorf("%d not bound to their target, %d in the organization of the header", unbound, context)
	}
	if _, ok := role.Lookup("oidc/keys"); ok {
		t.Error("an operation that is no RPC has a need")
	}
}

func TestNeedsSayWhatTheServerDoes(t *testing.T) {
	need := func(name operation.Name) role.Need {
		n, ok := role.Lookup(name)
		if !ok {
			t.Fatalf("%s is not known", name)
		}
		return n
	}
	link := need(users + "CreatePasskeyRegistrationLink")
	if !link.Unbound || !link.OrgContext || !strings.HasPrefix(link.Note, "NOT bound") || link.NoRole != role.Refused {
		t.Errorf("a link to register a passkey: %+v", link)
	}
	roles := need(projects + "ListProjectRoles")
	if !slices.Equal(roles.Permissions, []string{"project.role.read", "project.grant.read"}) || !roles.OrgContext || roles.Unbound || len(roles.Passed) != 9 {
		t.Errorf("roles of a project: %+v", roles)
	}
	instance := need("zitadel.instance.v2.InstanceService/UpdateInstance")
	if !slices.Equal(instance.Or, []string{"system.instance.write"}) || !slices.Equal(instance.Permissions, []string{"iam.write"}) || !slices.Equal(instance.Levels, []role.Level{role.Instance}) {
		t.Errorf("the instance: %+v", instance)
	}
	if app := need(management + "RemoveApp"); app.CheckField != "ProjectId" || app.Basis != role.Declared || app.Passed != nil {
		t.Errorf("an application: %+v", app)
	}
	if nobody := need("zitadel.feature.v2beta.FeatureService/GetSystemFeatures"); nobody.Passed == nil || len(nobody.Passed) != 0 {
		t.Errorf("nobody passed, and the need says %#v", nobody.Passed)
	}
	password := need(users + "SetPassword")
	if !password.Self || password.NoRole != role.OwnOnly || len(password.Variants) != 1 || password.Variants[0].Kind != role.Token || password.Variants[0].Basis != role.Measured {
		t.Errorf("a password: %+v", password)
	}
	for name, want := range map[operation.Name]role.NoRole{
		users + "RetrieveIdentityProviderIntent":                          role.WithIntent,
		users + "StartIdentityProviderIntent":                             role.Passes,
		"zitadel.analytics.v2beta.TelemetryService/ReportBaseInformation": role.NotTried,
	} {
		if got := need(name).NoRole; got != want {
			t.Errorf("without a role, %s answers %s", name, got)
		}
	}
}

func TestRolesHaveTheirLevelAndEachPermissionOnce(t *testing.T) {
	levels := map[role.Level]int{}
	for _, r := range role.Roles() {
		levels[r.Level]++
		if !slices.IsSorted(r.Permissions) || len(slices.Compact(slices.Clone(r.Permissions))) != len(r.Permissions) || len(r.Permissions) == 0 {
			t.Errorf("%s has %v", r.Name, r.Permissions)
		}
	}
	if levels[role.System] != 2 || levels[role.Instance] != 7 || levels[role.Organization] != 11 || levels[role.Project] != 4 || levels[role.ProjectGrant] != 2 {
		t.Errorf("levels %v", levels)
	}
}

// TestNobodyCanChangeWhatIsKnown: a caller that sorts or cuts what it got would
// otherwise change the answers to all others.
func TestNobodyCanChangeWhatIsKnown(t *testing.T) {
	n, _ := role.Lookup(members + "CreateAdministrator")
	n.Variants[0].Permissions[0], n.Variants[0].Levels[0], n.Variants[0].Passed[0] = "x", "x", "x"
	n.Variants[1].When = "x"
	role.Roles()[0].Permissions[0] = "x"
	again, _ := role.Lookup(members + "CreateAdministrator")
	if v := again.Variants[0]; v.Permissions[0] == "x" || v.Levels[0] == "x" || v.Passed[0] == "x" || again.Variants[1].When == "x" || role.Roles()[0].Permissions[0] == "x" {
		t.Error("a change reached the table")
	}
}
