package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shellBlocks are the commands of a guide, in the order in which they stand.
func shellBlocks(t *testing.T, file string) string {
	t.Helper()
	var all strings.Builder
	for rest := string(must(os.ReadFile(file))(t)); ; {
		_, after, ok := strings.Cut(rest, "```sh\n")
		if !ok {
			break
		}
		block, tail, _ := strings.Cut(after, "```")
		all.WriteString(block)
		rest = tail
	}
	return all.String()
}

func TestCommandsOfTheGuideFromNginx(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here: install Debian's package curl")
	}
	c := newComposed(t) // for its sandbox, ports and folder
	c.zitadel.AddMachineUser("nginx", "ORG_OWNER_VIEWER")
	check(t, os.WriteFile(filepath.Join(c.dir, "zitadel.pat"), []byte(c.zitadel.AddPAT(c.zitadel.Users()["nginx"])), 0o600))
	commands := strings.NewReplacer(
		"https://acme.zitadel.cloud", c.zitadel.Issuer().String(), "127.0.0.1:8080", c.ports["zproxy:8081"], "127.0.0.1:9090", c.ports["zproxy:9090"],
		"zproxy health", "zproxy health http://"+c.ports["zproxy:9090"]+"/readyz",
	).Replace(shellBlocks(t, "../../docs/from-nginx.md"))
	shell := exec.Command("bash", "-euo", "pipefail", "-c", "trap 'kill %1; wait %1' EXIT\n"+commands)
	shell.Dir = c.dir
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rules := string(must(os.ReadFile(filepath.Join(c.dir, "rules.yaml")))(t))
	for _, operation := range []string{"zitadel.user.v2.UserService/ListUsers", "zitadel.management.v1.ManagementService/GetMyOrg"} {
		if !strings.Contains(rules, operation) {
			t.Errorf("no rule for %s:\n%s\n%s", operation, rules, out)
		}
	}
}
