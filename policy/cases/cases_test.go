package cases_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/cases"
	"github.com/zproxy/zproxy/policy/operation"
)

const users = "zitadel.user.v2.UserService/"

func caller(t testing.TB, name string) authn.Caller {
	t.Helper()
	c, err := authn.ParseCaller(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rules(t testing.TB) (*operation.Catalogue, *policy.Policy) {
	t.Helper()
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(c, []policy.Rule{
		{Name: "reads", Callers: []string{"unix:crm"}, Operations: []string{users + "GetUserByID", "scim/Users.List", "oidc/keys"}, As: "reader"},
		{Name: "acme", Callers: []string{"unix:crm"}, Operations: []string{users + "ListUsers"}, Organizations: []string{"17"}, As: "reader"},
		{Name: "ends", Callers: []string{"unix:crm"}, Operations: []string{users + "LockUser"}, As: "writer", Until: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)},
		{Name: "dark", Callers: []string{"unix:crm"}, Operations: []string{users + "UnlockUser"}, As: "writer", Shadow: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

func TestCasesSayHowTheDecisionDiffers(t *testing.T) {
	catalogue, p := rules(t)
	crm := caller(t, "unix:crm")
	const inAcme, outside = `{"queries":[{"organizationIdQuery":{"organizationId":"17"}}]}`, `{"queries":[{"organizationIdQuery":{"organizationId":"18"}}]}`
	now := time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC)
	byName := func(op, body string) cases.Request {
		return cases.Request{Caller: crm, Operation: operation.Name(op), Body: body, Now: now}
	}
	sent := func(method, target, contentType, body string) cases.Request {
		return cases.Request{Caller: crm, Method: method, Target: target, ContentType: contentType, Body: body, Now: now}
	}
	for name, c := range map[string]struct {
		cases.Case
		want string
	}{
		"an operation":              {cases.Case{Request: byName(users+"GetUserByID", ""), Allow: true, Rule: "reads", As: "reader", Reason: "allowed"}, ""},
		"REST":                      {cases.Case{Request: sent("GET", "/v2/users/1", "", ""), Allow: true, Rule: "reads"}, ""},
		"SCIM":                      {cases.Case{Request: sent("GET", "/scim/v2/17/Users", "", ""), Allow: true}, ""},
		"OpenID Connect":            {cases.Case{Request: sent("GET", "/oauth/v2/keys", "", ""), Allow: true}, ""},
		"Connect without a body":    {cases.Case{Request: sent("POST", "/"+users+"ListUsers", "application/json", ""), Reason: "organization_not_allowed"}, ""},
		"gRPC":                      {cases.Case{Request: sent("POST", "/"+users+"ListUsers", "application/grpc", inAcme), Allow: true, Rule: "acme"}, ""},
		"a body within":             {cases.Case{Request: byName(users+"ListUsers", inAcme), Allow: true}, ""},
		"a body outside":            {cases.Case{Request: byName(users+"ListUsers", outside), Reason: "organization_not_allowed", Rule: "acme"}, ""},
		"a message nobody knows":    {cases.Case{Request: byName(users+"ListUsers", ""), Reason: "unreadable_body"}, ""},
		"a body nobody can read":    {cases.Case{Request: byName(users+"ListUsers", `{"x":1}`), Reason: "unreadable_body"}, ""},
		"nor has to":                {cases.Case{Request: byName(users+"GetUserByID", `{"x":1}`), Allow: true}, ""},
		"refused before any rule":   {cases.Case{Request: sent("GET", "/v2/../users", "", ""), Reason: "not_canonical"}, ""},
		"a rule that has not ended": {cases.Case{Request: byName(users+"LockUser", `{"userId":"1"}`), Allow: true}, ""},
		"a shadow":                  {cases.Case{Request: byName(users+"UnlockUser", ""), Shadow: "dark"}, ""},

		"allowed, expected to be denied": {cases.Case{Request: byName(users+"GetUserByID", "")}, "deny is expected, and the rules allow it, by rule reads, as reader"},
		"denied, expected to be allowed": {cases.Case{Request: byName(users+"ListUsers", outside), Allow: true},
			`allow is expected, and the rules deny it (organization_not_allowed), nearest is rule acme: queries[0].organization_id_query.organization_id names organization "18", which the rule does not allow`},
		"another rule and service user": {cases.Case{Request: byName(users+"GetUserByID", ""), Allow: true, Rule: "acme", As: "writer"},
			"rule is expected to be acme and is reads; as is expected to be writer and is reader"},
		"another reason": {cases.Case{Request: byName(users+"AddKey", ""), Reason: "hazard"}, "reason is expected to be hazard and is no_rule"},
		"no shadow":      {cases.Case{Request: byName(users+"AddKey", ""), Shadow: "dark"}, "shadow is expected to be dark and is none"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.Check(catalogue, p)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
	if _, err := (cases.Case{Request: byName("zitadel.user.v2.UserService/Fly", "")}).Check(catalogue, p); err == nil || !strings.Contains(err.Error(), "no operation is called") {
		t.Errorf("an operation that is none: %v", err)
	}
}

func TestUnreadableMessagesKeepTheirCause(t *testing.T) {
	catalogue, _ := rules(t)
	_, err := cases.Request{Operation: users + "ListUsers", Body: `{"x":1}`}.Subject(catalogue)
	var unreadable *cases.UnreadableError
	if !errors.As(err, &unreadable) || errors.Unwrap(unreadable) == nil || unreadable.Error() == "" {
		t.Errorf("got %v", err)
	}
}

func ExampleRequest_Decide() {
	catalogue, err := operation.Default()
	if err != nil {
		panic(err)
	}
	p, err := policy.Compile(catalogue, []policy.Rule{{
		Name: "acme", Callers: []string{"unix:crm"}, Operations: []string{users + "CreateUser"}, As: "provisioner",
		Hazards: []string{"plants-credential", "returns-code"}, When: `request.organization_id == "17" && has(request.human)`,
	}})
	if err != nil {
		panic(err)
	}
	crm, err := authn.ParseCaller("unix:crm")
	if err != nil {
		panic(err)
	}
	for _, body := range []string{`{"organizationId": "17", "human": {}}`, `{"organizationId": "17", "machine": {}}`} {
		d, err := cases.Request{Caller: crm, Method: "POST", Target: "/v2/users/new", ContentType: "application/json", Body: body}.Decide(catalogue, p)
		fmt.Println(d.Reason, d.As, err)
	}
	// Output:
	// allowed provisioner <nil>
	// condition_not_met  <nil>
}
