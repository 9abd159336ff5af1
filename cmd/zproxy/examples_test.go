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

// inTypeScript is the command that runs an example of that folder.
func inTypeScript(t *testing.T, file string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not here: install Debian's packages nodejs and npm")
	}
	const dir = "../../docs/examples/typescript"
	if _, err := os.Stat(dir + "/node_modules"); err != nil {
		t.Skip("its packages are not here: npm ci --prefix docs/examples/typescript")
	}
	return exec.Command("node", filepath.Join(dir, file))
}

func TestExampleInTypeScript(t *testing.T) {
	runExample(t, serveExample(t), inTypeScript(t, "list-users.js"))
}

// A sign-in as the Login V2 container makes it, by the configuration for it:
// every call is performed as the service user, and none reaches another host.
func TestExampleOfLoginV2(t *testing.T) {
	command := inTypeScript(t, "sign-in.js")
	c := newComposed(t)
	id := c.zitadel.AddMachineUser("login-client", "IAM_LOGIN_CLIENT")
	check(t, os.WriteFile(filepath.Join(c.dir, "login-client.json"), must(c.zitadel.KeyFile(id))(t), 0o600))
	text := string(must(os.ReadFile("../../docs/examples/login-v2/zproxy.yaml"))(t))
	for _, pair := range [][2]string{
		{"https://acme.zitadel.cloud", c.zitadel.Issuer().String()}, {"0.0.0.0:8080", c.ports["zproxy:8081"]}, {"10.20.0.0/24", "127.0.0.0/8"},
		{"hosts: [zproxy]", "hosts: [127.0.0.1]"}, {"/run/keys", c.dir}, {"audit:", "admin: {address: \"" + c.ports["zproxy:9090"] + "\"}\naudit:"},
	} {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("the example has no %s", pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	check(t, os.WriteFile(filepath.Join(c.dir, "zproxy.yaml"), []byte(text), 0o600))
	c.serve(t)
	before := len(c.zitadel.Requests())
	command.Env = append(os.Environ(), "ZPROXY_URL=http://"+c.ports["zproxy:8081"])
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "signed in: alice@acme.example") || !strings.Contains(string(out), "refused: ") {
		t.Fatalf("%v\n%s", err, out)
	}
	done := c.zitadel.Performed(before)
	if len(done) < 10 {
		t.Errorf("ZITADEL performed %d calls of 10", len(done))
	}
	for _, r := range done {
		if r.User != id || r.Header.Get("X-Zitadel-Public-Host") != "" || r.Header.Get("X-Zitadel-Instance-Host") != "" {
			t.Errorf("%s was performed as %s with %v", r.Operation, r.User, r.Header)
		}
	}
}
