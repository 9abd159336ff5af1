package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

// The format's contract loads whole: its rules compile too, and what is hardly
// meant in them is told of.
func TestTheContractsRulesCompile(t *testing.T) {
	cfg, err := config.Load("../config/testdata/contract.yaml")
	check(t, err)
	_, rules, err := gateway.Rules(cfg, time.Now())
	check(t, err)
	var told []string
	for _, w := range rules.Warnings() {
		told = append(told, w.Rule+": "+w.Message)
	}
	text := strings.Join(told, "\n")
	for _, want := range []string{"crm-reads-users: its organizations cannot limit zitadel.user.v2.UserService/GetUserByID", "onboarding: it never allows zitadel.internal_permission.v2.InternalPermissionService/CreateAdministrator"} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning says %q:\n%s", want, text)
		}
	}
}
