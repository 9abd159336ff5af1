package operation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
)

func TestUnlistedOperationsAreReachableByTheirRPCPathOnly(t *testing.T) {
	c := catalogue(t)
	const name = "zitadel.group.v2.GroupService/ListGroups"
	extended, err := c.WithUnlisted(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Lookup(name); ok {
		t.Error("the catalogue that was extended knows the operation, too")
	}
	op, ok := extended.Lookup(name)
	if !ok || !op.Unlisted || !op.Changes || !op.NamesUser || op.Hazards != 0 || len(op.Routes) != 0 || op.Index != len(c.Operations()) {
		t.Errorf("operation %+v", op)
	}
	for contentType, want := range map[string]operation.Protocol{
		"application/grpc": operation.GRPC, "application/grpc-web": operation.GRPCWeb, "application/json": operation.Connect,
		"application/grpc+json": operation.GRPC, "application/grpc-web+json": operation.GRPCWeb,
		"application/connect+json": operation.ConnectStream, "application/connect+proto": operation.ConnectStream,
	} {
		got, err := extended.Resolve(operation.Request{Method: "POST", Target: "/" + name, ContentType: contentType})
		if err != nil || got.Operation != op || got.Protocol != want || got.JSON != strings.HasSuffix(contentType, "json") {
			t.Errorf("%s: %+v, %v", contentType, got, err)
		}
	}
	if services := extended.Services(); services[len(services)-1] != "zitadel.group.v2.GroupService" || len(services) != len(c.Services())+1 {
		t.Errorf("services %q", services)
	}
	same, err := extended.Resolve(operation.Request{Method: "POST", Target: "/v2/users", ContentType: "application/json"})
	if known, _ := c.Lookup("zitadel.user.v2.UserService/ListUsers"); err != nil || same.Operation != known {
		t.Errorf("%+v, %v", same, err)
	}
}

func TestUnlistedNamesAreCheckedStrictly(t *testing.T) {
	c := catalogue(t)
	for _, name := range []operation.Name{
		"", "/", "a/b", "a.B", "a.B/", "/a.B/C", "a.B/C/D", "a..B/C", ".a.B/C", "a.B./C", "a.B/*", "a.*/C", "a.B/C?", "a.B/C D", "a.B/1", "1.B/C", "a.Bé/C", "a.B/%43",
		"zitadel.user.v2.UserService/ListUsers", "scim/Users.List", "oidc/token", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		operation.Name("a.B/" + strings.Repeat("c", 300)),
	} {
		if _, err := c.WithUnlisted(name); err == nil {
			t.Errorf("%q was added", name)
		}
	}
	if _, err := c.WithUnlisted("a.B/C", "a.B/C"); err == nil {
		t.Error("a name was added twice")
	}
}

func TestHazardNamesAndParsingAreInverse(t *testing.T) {
	for h := operation.Hazards(1); h <= operation.OwnUser; h <<= 1 {
		back, err := operation.ParseHazard(h.String())
		if err != nil || back != h {
			t.Errorf("%d is %q is %d, %v", h, h, back, err)
		}
	}
	both := operation.MintsCredential | operation.OwnUser
	if got := both.Names(); !slices.Equal(got, []string{"mints-credential", "own-user"}) {
		t.Errorf("names %v", got)
	}
	for _, bad := range []string{"", "Bulk", "bulk,own-user", "*", "hazard-128"} {
		if _, err := operation.ParseHazard(bad); err == nil {
			t.Errorf("%q was read as a hazard", bad)
		}
	}
}

// TestOperationsCarryWhatPoliciesRelyOn samples each property by the operations
// where a mistake would cost most.
func TestOperationsCarryWhatPoliciesRelyOn(t *testing.T) {
	c := catalogue(t)
	for _, k := range []struct {
		name      operation.Name
		changes   bool
		namesUser bool
		hazards   operation.Hazards
	}{
		{"zitadel.user.v2.UserService/AddPersonalAccessToken", true, true, operation.MintsCredential | operation.OwnUser},
		{"zitadel.user.v2.UserService/AddKey", true, true, operation.MintsCredential | operation.PlantsCredential | operation.OwnUser},
		{"zitadel.user.v2.UserService/ListUsers", false, true, 0},
		{"zitadel.user.v2.UserService/GetUserByID", false, true, 0},
		{"zitadel.user.v2.UserService/ListKeys", false, true, 0},
		{"zitadel.management.v1.ManagementService/DeactivateUser", true, true, 0},
		{"zitadel.management.v1.ManagementService/RemoveUser", true, true, operation.Bulk},
		{"zitadel.management.v1.ManagementService/SetUserMetadata", true, true, 0},
		{"zitadel.session.v2.SessionService/CreateSession", true, true, operation.MintsCredential},
		{"zitadel.admin.v1.AdminService/ExportData", true, false, operation.MintsCredential | operation.Bulk},
		{"zitadel.admin.v1.AdminService/ListEvents", false, true, operation.MintsCredential | operation.Bulk},
		{"zitadel.admin.v1.AdminService/AddIAMMember", true, true, operation.GrantsRole},
		{"zitadel.action.v2.ActionService/SetExecution", true, false, operation.ReachesOtherCalls},
		{"zitadel.auth.v1.AuthService/GetMyUser", false, false, operation.OwnUser},
		{"scim/Bulk", true, true, operation.Bulk | operation.PlantsCredential},
		{"scim/Users.Create", true, true, operation.PlantsCredential},
		{"oidc/userinfo", false, false, operation.OwnUser},
	} {
		op, ok := c.Lookup(k.name)
		if !ok {
			t.Errorf("%s is not known", k.name)
			continue
		}
		if op.Changes != k.changes || k.namesUser && !op.NamesUser || op.Hazards != k.hazards {
			t.Errorf("%s: changes %v, names a user %v, hazards %s; want %v, %v, %s", k.name, op.Changes, op.NamesUser, op.Hazards, k.changes, k.namesUser, k.hazards)
		}
	}
}

func TestEveryOperationOfTheAuthAPIActsOnTheTokensOwnUser(t *testing.T) {
	for _, op := range catalogue(t).Operations() {
		if strings.HasPrefix(string(op.Name), "zitadel.auth.v1.") && op.Hazards&operation.OwnUser == 0 {
			t.Errorf("%s is not classified", op.Name)
		}
		if op.Hazards == 0 && op.Changes && op.Unlisted {
			t.Errorf("%s is unlisted in the catalogue of the build", op.Name)
		}
	}
}
