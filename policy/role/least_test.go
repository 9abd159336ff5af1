package role_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

func operations(text string) []operation.Name {
	var all []operation.Name
	for _, name := range strings.Fields(text) {
		all = append(all, operation.Name(name))
	}
	return all
}

// grants writes what is needed in one line: "instance IAM_OWNER; organization ORG_OWNER".
func grants(r role.Requirement) string {
	var all []string
	for _, g := range r.Grants {
		all = append(all, string(g.Level)+" "+strings.Join(g.Roles, "+"))
	}
	return strings.Join(all, "; ")
}

func TestTheLeastRoleOfWellKnownOperations(t *testing.T) {
	for _, c := range []struct {
		ops  string
		want string
	}{
		{"", ""},
		// By the number of permissions alone, ORG_USER_PERMISSION_EDITOR would read users.
		{users + "ListUsers " + users + "GetUserByID", "organization ORG_OWNER_VIEWER"},
		{users + "CreateUser", "organization ORG_USER_MANAGER"},
		{users + "CreateUser " + users + "ListUsers", "organization ORG_USER_MANAGER"},
		{users + "SetPassword", "organization ORG_USER_MANAGER"},
		{users + "RegisterTOTP", "organization ORG_OWNER"},
		{actions + "CreateTarget", "instance IAM_OWNER"},
		{actions + "ListTargets", "instance IAM_OWNER_VIEWER"},
		{"zitadel.admin.v1.AdminService/ListEvents", "instance IAM_OWNER_VIEWER"},
		{"zitadel.org.v2.OrganizationService/AddOrganization", "instance IAM_ORG_MANAGER"},
		{sessions + "CreateSession", "instance IAM_LOGIN_CLIENT"},
		{"zitadel.oidc.v2.OIDCService/CreateCallback", "instance IAM_LOGIN_CLIENT"},
		{projects + "GetProject", "project PROJECT_OWNER_VIEWER_GLOBAL"},
		{projects + "UpdateProject", "project PROJECT_OWNER_GLOBAL"},
		{management + "ListUsers", "project PROJECT_OWNER_VIEWER"},
		{projects + "GetProject " + users + "ListUsers", "organization ORG_OWNER_VIEWER"},
		{projects + "CreateProject", "organization ORG_PROJECT_CREATOR"},
		{auth + "RemoveMyUser", "organization ORG_USER_SELF_MANAGER"},
		{system + "ListInstances", ""},
		{auth + "GetMyUser", ""},
		{members + "CreateAdministrator", ""},
	} {
		if got := grants(role.Least(operations(c.ops), false)); got != c.want {
			t.Errorf("%s: needs %q, want %q", c.ops, got, c.want)
		}
	}
}

// TestReadingOnesOwnProjectsIsNotReadingProjects: ORG_PROJECT_CREATOR is not
// refused by ListProjects, and sees what it created alone.
func TestReadingOnesOwnProjectsIsNotReadingProjects(t *testing.T) {
	both := operations(management + "ListProjects " + management + "AddProject")
	if got := grants(role.Least(both, false)); got != "organization ORG_OWNER" {
		t.Errorf("needs %s", got)
	}
}

func TestWhatCountsOnAProjectAloneDoesNotTakeTheInstance(t *testing.T) {
	both := operations(management + "RemoveApp " + users + "CreateUser")
	if got := grants(role.Least(both, false)); got != "organization ORG_USER_MANAGER; project PROJECT_OWNER_GLOBAL" {
		t.Errorf("needs %s", got)
	}
}

func TestWhatAWiderRoleServesAnywayIsBesideIt(t *testing.T) {
	r := role.Least(operations(actions+"CreateTarget "+sessions+"CreateSession "+users+"ListUsers "+projects+"GetProject"), false)
	if grants(r) != "instance IAM_OWNER" {
		t.Fatalf("needs %s", grants(r))
	}
	for _, b := range r.Grants[0].Because {
		forced := strings.HasPrefix(string(b.Operation), actions) || strings.HasPrefix(string(b.Operation), sessions)
		if b.Beside == forced || len(b.Roles) != 0 || b.Basis != role.Measured {
			t.Errorf("%+v", b)
		}
	}
}

func TestRolesCombineWhereNoneFitsAlone(t *testing.T) {
	r := role.Least(operations(auth+"RemoveMyUser "+users+"CreateUser"), false)
	if grants(r) != "organization ORG_USER_MANAGER+ORG_USER_SELF_MANAGER" || r.Grants[0].Together != nil {
		t.Fatalf("needs %+v", r.Grants)
	}
	for _, b := range r.Grants[0].Because {
		want := "ORG_USER_MANAGER"
		if b.Operation == auth+"RemoveMyUser" {
			want = "ORG_USER_SELF_MANAGER"
		}
		if !slices.Equal(b.Roles, []string{want}) {
			t.Errorf("%s is served by %v", b.Operation, b.Roles)
		}
	}
}

// TestSmallerRolesTogetherAreToldBesideALargeOne: one role fits, and it is the
// owner of everything, where two small ones would do.
func TestSmallerRolesTogetherAreToldBesideALargeOne(t *testing.T) {
	r := role.Least(operations(sessions+"CreateSession "+actions+"ListTargets"), false)
	if grants(r) != "instance IAM_OWNER" || !slices.Equal(r.Grants[0].Together, []string{"IAM_LOGIN_CLIENT", "IAM_OWNER_VIEWER"}) {
		t.Errorf("needs %+v", r.Grants)
	}
	one := role.Least(operations(users+"ListUsers"), false)
	if one.Grants[0].Together != nil {
		t.Errorf("%v together are no less than %v", one.Grants[0].Together, one.Grants[0].Roles)
	}
}

func TestWhatNeedsNoRoleIsToldApart(t *testing.T) {
	r := role.Least([]operation.Name{
		system + "ListInstances", auth + "GetMyUser", members + "CreateAdministrator", "scim/Users.List", auth + "GetMyUser", auth + "Healthz",
	}, false)
	if !slices.Equal(r.SystemOnly, operations(system+"ListInstances")) || !slices.Equal(r.Nothing, operations(auth+"GetMyUser "+auth+"Healthz")) ||
		!slices.Equal(r.Choices, operations(members+"CreateAdministrator")) || !slices.Equal(r.Unknown, operations("scim/Users.List")) ||
		len(r.Grants) != 0 || len(r.Nobody) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestAnOperationThatDependsOnTheRequestTellsItsCases(t *testing.T) {
	r := role.Least(operations(users+"SetPassword "+members+"CreateAdministrator "+users+"ListUsers"), false)
	if grants(r) != "organization ORG_USER_MANAGER" {
		t.Fatalf("needs %s", grants(r))
	}
	var got []string
	for _, c := range r.Cases {
		text := c.When + ": " + string(c.Level) + " " + c.Role
		if c.Granted {
			text += " granted"
		}
		got = append(got, text)
		if c.Basis != role.Measured || c.Role != "" && len(c.Permissions) == 0 {
			t.Errorf("case %+v", c)
		}
	}
	want := []string{
		"resource is the instance: instance IAM_LOGIN_CLIENT",
		"resource is an organization: organization ORG_OWNER",
		"resource is a project: project PROJECT_OWNER_GLOBAL",
		"resource is a project grant: project_grant PROJECT_GRANT_OWNER",
		"current_password or verification_code is given:   granted",
	}
	if !slices.Equal(got, want) {
		t.Errorf("cases\n%s", strings.Join(got, "\n"))
	}
}

func TestAChoiceIsNoneWhereTheRolesServeEveryCase(t *testing.T) {
	r := role.Least(operations(members+"CreateAdministrator "+actions+"CreateTarget"), false)
	if grants(r) != "instance IAM_OWNER" || len(r.Choices) != 0 || len(r.Cases) != 0 || len(r.Grants[0].Because) != 2 {
		t.Fatalf("got %+v", r)
	}
	if b := r.Grants[0].Because[1]; b.Operation != members+"CreateAdministrator" || !b.Beside || len(b.Permissions) != 4 {
		t.Errorf("because %+v", b)
	}
	// IAM_ORG_MANAGER makes administrators of all but the instance.
	some := role.Least(operations(members+"CreateAdministrator zitadel.org.v2.OrganizationService/AddOrganization"), false)
	if grants(some) != "instance IAM_ORG_MANAGER" || len(some.Choices) != 1 {
		t.Fatalf("got %+v", some)
	}
	for _, c := range some.Cases {
		if c.Granted != (c.Level != role.Instance) {
			t.Errorf("case %+v", c)
		}
	}
	// ORG_OWNER serves grants of projects in the granted organization, which need not be its own.
	owner := role.Least(operations(members+"CreateAdministrator "+users+"RegisterTOTP"), false)
	for _, c := range owner.Cases {
		if c.Granted != (c.Level == role.Organization || c.Level == role.Project) {
			t.Errorf("case %+v", c)
		}
	}
}

func TestRequestsWithinOrganizationsChooseTheOrganization(t *testing.T) {
	within := role.Least(operations(members+"CreateAdministrator"), true)
	if grants(within) != "organization ORG_OWNER" || within.Grants[0].Because[0].Basis != role.Measured || len(within.Cases) != 0 {
		t.Errorf("within organizations: %+v", within)
	}
}
