package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serveExample starts zproxy for the examples of docs/examples, and returns its URL.
func serveExample(t *testing.T) string {
	t.Helper()
	c := newComposed(t) // for its sandbox, ports and folder
	id := c.zitadel.AddMachineUser("reader", "ORG_OWNER_VIEWER")
	check(t, os.WriteFile(filepath.Join(c.dir, "key.json"), must(c.zitadel.KeyFile(id))(t), 0o600))
	cfg := `version: 1
upstream: {issuer: "` + c.zitadel.Issuer().String() + `"}
listeners: [{name: local, address: "` + c.ports["zproxy:8081"] + `", callers: {anonymous: local}}]
service_users: [{name: reader, private_key_jwt: {key_file: "` + c.dir + `/key.json"}}]
rules: [{name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/ListUsers], as: reader}]
audit: {file: "-"}
admin: {address: "` + c.ports["zproxy:9090"] + `"}
`
	check(t, os.WriteFile(filepath.Join(c.dir, "zproxy.yaml"), []byte(cfg), 0o600))
	c.serve(t)
	return "http://" + c.ports["zproxy:8081"]
}

// runExample runs an example, which lists users and is refused to delete one.
func runExample(t *testing.T, at string, command *exec.Cmd) {
	t.Helper()
	command.Env = append(os.Environ(), "ZPROXY_URL="+at)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"alice@acme.example", "refused: ", "no rule allows anonymous:local"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

func TestExampleInGo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "example")
	if out, err := exec.Command("go", "build", "-o", program, "../../docs/examples/go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runExample(t, serveExample(t), exec.Command(program))
}

func TestExampleInTypeScript(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not here: install Debian's packages nodejs and npm")
	}
	const dir = "../../docs/examples/typescript"
	if _, err := os.Stat(dir + "/node_modules"); err != nil {
		t.Skip("its packages are not here: npm ci --prefix docs/examples/typescript")
	}
	runExample(t, serveExample(t), exec.Command("node", dir+"/list-users.js"))
}
