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
