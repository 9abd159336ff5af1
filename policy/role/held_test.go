package role_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

func TestRolesPermitWhatTheyPassAndSayWhy(t *testing.T) {
	for _, c := range []struct {
		roles string
		op    operation.Name
		want  bool
		why   string // a part
	}{
		{"ORG_USER_MANAGER", users + "CreateUser", true, "ORG_USER_MANAGER holds user.write (measured)"},
		{"ORG_OWNER_VIEWER ORG_USER_MANAGER", users + "CreateUser", true, "ORG_USER_MANAGER holds user.write (measured)"},
		{"ORG_OWNER_VIEWER", users + "CreateUser", false, "it needs user.write at level instance or organization: ORG_OWNER_VIEWER lacks user.write"},
		{"", users + "CreateUser", false, "no manager role is held"},
		{"NO_SUCH_ROLE", users + "CreateUser", false, "no manager role is held"},
		{"org_user_manager", users + "CreateUser", false, "no manager role is held"},
		{"PROJECT_OWNER", users + "ListUsers", false, "PROJECT_OWNER holds it, but a role of the level project does not count; without a role it works on the service user itself alone"},
		{"PROJECT_OWNER", management + "ListUsers", true, "PROJECT_OWNER holds user.read"},
		{"ORG_PROJECT_CREATOR", management + "ListProjects", false, "ORG_PROJECT_CREATOR lacks project.read (its project.read:self is for its own alone)"},
		{"PROJECT_OWNER", projects + "ListProjectRoles", false, "a role of the level project does not count"},
		{"", auth + "GetMyUser", true, "any token will do"},
		{"", auth + "Healthz", true, "not even a token is needed"},
		{"", users + "RetrieveIdentityProviderIntent", true, "no role is needed, but the intent token in the request"},
		{"IAM_OWNER", "zitadel.oidc.v2.OIDCService/CreateCallback", false, "IAM_OWNER lacks session.link"},
		{"ORG_OWNER", members + "CreateAdministrator", true, "when resource is the instance: it needs iam.member.write at level instance: ORG_OWNER lacks iam.member.write; " +
			"when resource is an organization: ORG_OWNER holds org.member.write (measured)"},
		{"ORG_OWNER", members + "CreateAdministrator", true, "ORG_OWNER holds project.grant.member.write (measured), where it is a role of the granted organization"},
		{"ORG_OWNER_VIEWER", members + "CreateAdministrator", false, "ORG_OWNER_VIEWER lacks org.member.write"},
		{"IAM_OWNER", system + "ListInstances", false, "only a system user can, never a service user"},
		{"SYSTEM_OWNER", system + "ListInstances", false, "only a system user can, never a service user"},
		{"SYSTEM_OWNER", users + "CreateUser", false, "no manager role is held"},
		{"IAM_OWNER", "scim/Bulk", false, "nothing is known of what scim/Bulk checks"},
	} {
		got, why := role.Explain(strings.Fields(c.roles), c.op)
		if got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%q permits %s: %t, %s", c.roles, c.op, got, why)
		}
		if role.Permits(strings.Fields(c.roles), c.op) != c.want {
			t.Errorf("%q permits %s: Permits and Explain differ", c.roles, c.op)
		}
	}
}

func TestOnlyWhatLiesBeyondTheOperationsIsBeyond(t *testing.T) {
	if got := role.Beyond([]string{"ORG_USER_SELF_MANAGER"}, nil); !slices.Contains(got, auth+"RemoveMyUser") || slices.Contains(got, auth+"GetMyUser") || slices.Contains(got, users+"ListUsers") {
		t.Errorf("the self manager could do %v", got)
	}
	one := role.Beyond([]string{"ORG_USER_SELF_MANAGER"}, operations(auth+"RemoveMyUser"))
	if slices.Contains(one, auth+"RemoveMyUser") || len(one) != len(role.Beyond([]string{"ORG_USER_SELF_MANAGER"}, nil))-1 || !slices.IsSorted(one) {
		t.Errorf("beyond removing itself it could do %v", one)
	}
	if got := role.Beyond([]string{"SYSTEM_OWNER", "NO_SUCH_ROLE"}, nil); got != nil {
		t.Errorf("roles that no service user holds permit %v", got)
	}
	if got := role.Beyond([]string{"IAM_OWNER_VIEWER"}, nil); slices.Contains(got, users+"CreateUser") || !slices.Contains(got, members+"ListAdministrators") {
		t.Errorf("the viewer of the instance could do %v", got)
	}
}
