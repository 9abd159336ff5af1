package policy_test

import (
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

func TestNoWildcardCoversAHazardousOperationOfZITADEL(t *testing.T) {
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	hazardous := 0
	services := make(map[string]bool)
	for _, op := range c.Operations() {
		service, _, _ := strings.Cut(string(op.Name), "/")
		services[service] = true
		if op.Hazards != 0 {
			hazardous++
		}
	}
	if hazardous == 0 {
		t.Fatal("no operation is hazardous")
	}
	for service := range services {
		p, err := policy.Compile(c, []policy.Rule{rule("wild", []string{crm}, []string{service + "/*"})})
		if err != nil {
			continue // all of the service is hazardous: nothing is granted
		}
		for _, op := range c.Operations() {
			d := p.Decide(caller(crm), op, policy.Facts{})
			inside := strings.HasPrefix(string(op.Name), service+"/")
			if want := inside && op.Hazards == 0; (d.Effect == policy.Allow) != want {
				t.Errorf("%s/* and %s (hazards %b): %+v", service, op.Name, op.Hazards, d)
			}
		}
	}
}

// What ZITADEL fetches from a file or a bucket may be of any organization.
func TestImportsFromElsewhereAreNotWithin(t *testing.T) {
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	const imports = "zitadel.admin.v1.AdminService/ImportData"
	op, _ := c.Lookup(imports)
	p, err := policy.Compile(c, []policy.Rule{rule("acme", []string{crm}, []string{imports}, within(acme), func(r *policy.Rule) { r.Hazards = op.Hazards.Names() })})
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		`{"dataOrgs":{"orgs":[{"orgId":"` + acme + `"}]}}`: "", `{"dataOrgsLocal":{"path":"/x"}}`: "data_orgs_local has ZITADEL fetch", `{"dataOrgsv1Gcs":{}}`: "data_orgsv1_gcs has",
	} {
		d := p.Decide(caller(crm), op, facts(t, imports, body))
		if (d.Effect == policy.Allow) != (want == "") || !strings.Contains(d.Detail, want) || want != "" && d.Reason != policy.ReasonOrganization {
			t.Errorf("%s: %+v", body, d)
		}
	}
}

// What the Auth API changes is the user whose token it is.
func TestNoServiceUserChangesItselfByTheAuthAPI(t *testing.T) {
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	for _, op := range c.Operations() {
		if !strings.HasPrefix(string(op.Name), "zitadel.auth.v1.") {
			continue
		}
		r := rule("me", []string{crm}, []string{string(op.Name)}, func(r *policy.Rule) { r.Hazards = op.Hazards.Names() })
		if _, err := policy.Compile(c, []policy.Rule{r}); (err == nil) == op.Changes {
			t.Errorf("%s as a service user: %v", op.Name, err)
		}
		r.As = policy.AsCaller
		if _, err := policy.Compile(c, []policy.Rule{r}); err != nil {
			t.Errorf("%s as its caller: %v", op.Name, err)
		}
		if op.Changes {
			changes++
		}
	}
	if changes < 25 {
		t.Errorf("only %d operations change something", changes)
	}
}
