package organization_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/organization"
)

const (
	user2   = "zitadel.user.v2.UserService/"
	org2    = "zitadel.org.v2.OrganizationService/"
	orgBeta = "zitadel.org.v2beta.OrganizationService/"
	perm2   = "zitadel.internal_permission.v2.InternalPermissionService/"
	manage  = "zitadel.management.v1.ManagementService/"
	admin   = "zitadel.admin.v1.AdminService/"
	set2    = "zitadel.settings.v2.SettingsService/"
	proj2   = "zitadel.project.v2.ProjectService/"
	projB   = "zitadel.project.v2beta.ProjectService/"
	authz2  = "zitadel.authorization.v2.AuthorizationService/"
)

func read(t testing.TB, name, body string) (*operation.Operation, protoreflect.Message) {
	t.Helper()
	types, err := message.Default()
	if err != nil {
		t.Fatal(err)
	}
	m, err := types.Read(operation.Name(name), message.Source{JSON: true, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return lookup(t, name), m
}

func lookup(t testing.TB, name string) *operation.Operation {
	t.Helper()
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	op, ok := c.Lookup(operation.Name(name))
	if !ok {
		t.Fatal(name, "is no operation")
	}
	return op
}

func TestRequestsStayWithin(t *testing.T) {
	for _, c := range []struct {
		op, body string // ID stands for an organization of the rule, or one that is not
		by       organization.By
	}{
		{user2 + "CreateUser", `{"organizationId":"ID"}`, organization.Field},
		{user2 + "AddHumanUser", `{"organization":{"orgId":"ID"}}`, organization.Header},
		{user2 + "ListUsers", `{"queries":[{"typeQuery":{"type":"TYPE_HUMAN"}},{"organizationIdQuery":{"organizationId":"ID"}}]}`, organization.Filter},
		{user2 + "ListKeys", `{"filters":[{"organizationIdFilter":{"id":"ID"}}]}`, organization.Filter},
		{org2 + "UpdateOrganization", `{"organizationId":"ID"}`, organization.Field},
		{org2 + "AddOrganization", `{"organizationId":"ID","name":"x"}`, organization.Field},
		{org2 + "ListOrganizations", `{"queries":[{"idQuery":{"id":"ID"}}]}`, organization.Filter},
		{orgBeta + "DeleteOrganization", `{"id":"ID"}`, organization.Field},
		{orgBeta + "ListOrganizations", `{"filter":[{"idFilter":{"id":"ID"}}]}`, organization.Filter},
		{perm2 + "CreateAdministrator", `{"userId":"1","resource":{"organizationId":"ID"}}`, organization.Field},
		{perm2 + "CreateAdministrator", `{"userId":"1","resource":{"projectGrant":{"projectId":"4","organizationId":"ID"}}}`, organization.Field},
		{perm2 + "ListAdministrators", `{"filters":[{"resource":{"organizationId":"ID"}}]}`, organization.Filter},
		{set2 + "GetLoginSettings", `{"ctx":{"orgId":"ID"}}`, organization.Header},
		{set2 + "GetHostedLoginTranslation", `{"organizationId":"ID"}`, organization.Field},
		{proj2 + "ListProjects", `{"filters":[{"organizationIdFilter":{"organizationId":"ID"}}]}`, organization.Filter},
		{projB + "ListProjects", `{"filters":[{"projectOrganizationIdFilter":{"id":"ID"}}]}`, organization.Filter},
		{proj2 + "CreateProjectGrant", `{"projectId":"4","grantedOrganizationId":"ID"}`, organization.Nothing},
		{authz2 + "ListAuthorizations", `{"filters":[{"organizationId":{"id":"ID"}}]}`, organization.Filter},
		{manage + "AddProjectGrant", `{"projectId":"4","grantedOrgId":"ID"}`, organization.Header},
		{manage + "ListUserMemberships", `{"userId":"1","queries":[{"orgQuery":{"orgId":"ID"}}]}`, organization.Header},
		{admin + "GetOrgByID", `{"id":"ID"}`, organization.Field},
		{admin + "ListEvents", `{"resourceOwner":"ID"}`, organization.Field},
		{admin + "ExportData", `{"orgIds":["in-1","ID"]}`, organization.Nothing},
		{"zitadel.feature.v2.FeatureService/SetOrganizationFeatures", `{"organizationId":"ID"}`, organization.Field},
	} {
		t.Run(c.op, func(t *testing.T) {
			for id, want := range map[string]bool{"in-1": true, "in-2": true, "out": false, "IN-1": false, "in-1 ": false, "": false} {
				op, m := read(t, c.op, strings.ReplaceAll(c.body, "ID", id))
				by := organization.Of(op, m.Descriptor())
				if by != c.by {
					t.Fatalf("limited by %v, want %v", by, c.by)
				}
				err := organization.Within(organization.Request{Message: m}, by, []string{"in-1", "in-2"})
				if id == "" && (c.by == organization.Header || c.by == organization.Nothing) {
					continue // an unset scalar names nothing
				}
				if (err == nil) != want {
					t.Errorf("%q: %v", id, err)
				}
			}
		})
	}
}

func TestRequestsThatSayTooLittleOrOtherwiseAreNotWithin(t *testing.T) {
	for name, c := range map[string][3]string{
		"no field":                          {user2 + "CreateUser", `{"username":"x"}`, "set organization_id"},
		"no filter":                         {user2 + "ListUsers", `{}`, "add organization_id_query to queries"},
		"another filter":                    {user2 + "ListUsers", `{"queries":[{"inUserIdsQuery":{"userIds":["1"]}}]}`, "add organization_id_query"},
		"the filter is one of alternatives": {user2 + "ListUsers", `{"queries":[{"orQuery":{"queries":[{"organizationIdQuery":{"organizationId":"in"}},{"userNameQuery":{"userName":"x"}}]}}]}`, "add organization_id_query"},
		"the filter is turned round":        {user2 + "ListUsers", `{"queries":[{"notQuery":{"query":{"organizationIdQuery":{"organizationId":"in"}}}}]}`, "add organization_id_query"},
		"another one among alternatives":    {user2 + "ListUsers", `{"queries":[{"organizationIdQuery":{"organizationId":"in"}},{"orQuery":{"queries":[{"organizationIdQuery":{"organizationId":"out"}}]}}]}`, `queries[1].or_query.queries[0]`},
		"an empty filter":                   {proj2 + "ListProjects", `{"filters":[{"organizationIdFilter":{}}]}`, "add organization_id_filter"},
		"the user's organization":           {authz2 + "ListAuthorizations", `{"filters":[{"userOrganizationId":{"id":"in"}}]}`, "add organization_id"},
		"the user's organization, outside":  {authz2 + "ListAuthorizations", `{"filters":[{"organizationId":{"id":"in"}},{"userOrganizationId":{"id":"out"}}]}`, "filters[1].user_organization_id.id names"},
		"a domain in place of an id":        {user2 + "AddHumanUser", `{"organization":{"orgDomain":"acme.example"}}`, "otherwise than by its id"},
		"a name in place of an id":          {manage + "ListUserGrants", `{"queries":[{"orgNameQuery":{"orgName":"acme"}}]}`, "otherwise than by its id"},
		"the instance":                      {set2 + "GetLoginSettings", `{"ctx":{"instance":true}}`, "or the instance"},
		"the instance as a resource":        {perm2 + "CreateAdministrator", `{"userId":"1","resource":{"instance":true}}`, "or the instance"},
		"a project as a resource":           {perm2 + "CreateAdministrator", `{"userId":"1","resource":{"projectId":"4"}}`, "set resource.organization_id"},
		"a project among administrators":    {perm2 + "ListAdministrators", `{"filters":[{"resource":{"projectId":"4"}}]}`, "add resource.organization_id to filters"},
		"the system":                        {set2 + "GetHostedLoginTranslation", `{"system":true}`, "or the instance"},
		"the members of a new organization": {org2 + "AddOrganization", `{"organizationId":"in","admins":[{"human":{"organization":{"orgId":"out"}}}]}`, "admins[0].human.organization.org_id names"},
		"a project granted from outside":    {projB + "ListProjects", `{"filters":[{"projectOrganizationIdFilter":{"id":"in"}},{"projectGrantResourceOwnerFilter":{"id":"out"}}]}`, "filters[1]"},
		"a new organization without its id": {org2 + "AddOrganization", `{"name":"x"}`, "set organization_id or org_id"},
		"an organization excluded":          {admin + "ExportData", `{"excludedOrgIds":["out"]}`, "excluded_org_ids[0]"},
		"an organization inside an import":  {admin + "ImportData", `{"dataOrgs":{"orgs":[{"orgId":"out"}]}}`, "data_orgs.orgs[0].org_id"},
	} {
		t.Run(name, func(t *testing.T) {
			op, m := read(t, c[0], c[1])
			err := organization.Within(organization.Request{Message: m}, organization.Of(op, m.Descriptor()), []string{"in"})
			if err == nil || !strings.Contains(err.Error(), c[2]) {
				t.Errorf("got %v, want it to say %q", err, c[2])
			}
		})
	}
}

func TestOperationsWithoutMessageAreLimitedByPathOrHeader(t *testing.T) {
	for name, want := range map[string]organization.By{
		"scim/Users.List": organization.Path, "scim/Bulk": organization.Path, "assets/UploadOrgLabelPolicyLogo": organization.Header,
		"assets/UploadDefaultLabelPolicyLogo": organization.Nothing, "oidc/userinfo": organization.Nothing,
		user2 + "GetUserByID": organization.Nothing, manage + "GetUserByLoginNameGlobal": organization.Nothing,
	} {
		if by := organization.Of(lookup(t, name), nil); by != want {
			t.Errorf("%s is limited by %v, want %v", name, by, want)
		}
	}
	for _, name := range []string{"zitadel.action.v2.ActionService/ListTargets", "zitadel.session.v2.SessionService/ListSessions", proj2 + "ListProjectRoles"} {
		op, m := read(t, name, "{}")
		if by := organization.Of(op, m.Descriptor()); by != organization.Nothing {
			t.Errorf("%s has filters, none of an organization, and is limited by %v", name, by)
		}
	}
	at := func(field, id string) organization.Request {
		return organization.Request{Variables: []operation.Variable{{Field: "user_id", Value: "in"}, {Field: field, Value: id}}}
	}
	if err := organization.Within(at("org_id", "in"), organization.Path, []string{"in"}); err != nil {
		t.Error(err)
	}
	for _, r := range []organization.Request{at("org_id", "out"), at("org_id", ""), at("id", "in"), {}} {
		if organization.Within(r, organization.Path, []string{"in"}) == nil {
			t.Errorf("%+v is within", r)
		}
	}
	if err := organization.Within(organization.Request{}, organization.Header, []string{"in"}); err != nil {
		t.Error(err)
	}
}

func TestIDs(t *testing.T) {
	for id, want := range map[string]bool{"287345091734012345": true, "acme-2": true, "": false, "*": false, "a b": false, "a/b": false, strings.Repeat("1", 201): false} {
		if organization.IsID(id) != want {
			t.Errorf("IsID(%q) is %t", id, !want)
		}
	}
}
