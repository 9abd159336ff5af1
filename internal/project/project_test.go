package project_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/zproxy/zproxy/"
)

func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	c := exec.Command("go", args...)
	c.Dir = root
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// allowed are the only edges between packages. A package that is not here may
// import none of ours.
var allowed = map[string][]string{
	"policy/operation/internal/generate": {"internal/descriptors"},
	"policy/message/internal/generate":   {"internal/descriptors"},
	"policy/message":                     {"policy/operation"},
	"policy/organization":                {"policy/operation"},
	"policy/condition":                   {"policy/message"},
	"policy":                             {"authn", "policy/condition", "policy/message", "policy/operation", "policy/organization"},
	"policy/cases":                       {"authn", "policy", "policy/message", "policy/operation"},
	"policy/review":                      {"authn", "policy", "policy/operation"},
	"policy/role":                        {"policy/operation"},
	"authn/clientcert":                   {"authn"},
	"authn/workload":                     {"authn"},
	"internal/listener":                  {"authn", "internal/turns"},
	"internal/spiffe":                    {"authn/clientcert"},
	"internal/devcerts":                  {"authn"},
	"internal/observed":                  {"authn", "internal/audit", "policy", "policy/operation"},
	"internal/ownuser":                   {"authn/serviceuser", "internal/zitadel"},
	"internal/telemetry":                 {"authn/serviceuser", "internal/audit", "proxy"},
	"internal/keys":                      {"authn/serviceuser", "internal/zitadel"},
	"internal/bootstrap":                 {"authn/serviceuser", "internal/keys", "internal/zitadel"},
	"proxy": {"authn", "authn/serviceuser", "internal/audit", "internal/ownuser", "internal/turns", "policy", "policy/message",
		"policy/operation", "policy/organization", "proxy/limit"},
	"internal/gateway": {"authn", "authn/clientcert", "authn/serviceuser", "authn/workload", "internal/acme", "internal/audit", "internal/config", "internal/keys", "internal/listener", "internal/ownuser", "internal/spiffe", "internal/telemetry", "internal/zitadel",
		"policy", "policy/cases", "policy/operation", "policy/role", "proxy", "proxy/limit"},
	"internal/sandbox": {"internal/descriptors"},
	"cmd/zproxy": {"authn", "authn/serviceuser", "internal/audit", "internal/bootstrap", "internal/config", "internal/confine", "internal/devcerts", "internal/gateway", "internal/keys", "internal/observed", "internal/systemd", "internal/telemetry", "internal/zitadel",
		"policy", "policy/cases", "policy/operation", "policy/review", "policy/role", "proxy"},
	"cmd/zproxy-demo": {"internal/audit", "internal/config", "internal/devcerts", "internal/gateway", "internal/sandbox", "policy", "policy/operation"},
}

func TestImportsPointOneWay(t *testing.T) {
	type listed struct {
		ImportPath string
		Imports    []string
	}
	decoder := json.NewDecoder(bytes.NewReader(goCommand(t, "list", "-e", "-deps", "-json=ImportPath,Imports", "./...")))
	seen := 0
	for {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		seen++
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours && !edge(name, to) {
				t.Errorf("%s imports %s, which is no edge of the layout", name, to)
			}
		}
	}
	if seen == 0 {
		t.Fatal("no package of ours was listed")
	}
}

// edge lets a package import what is below its own internal folder, which Go
// lets nobody else import, and a package of internal or cmd what is below it.
func edge(from, to string) bool {
	own := strings.HasPrefix(from, "internal/") || strings.HasPrefix(from, "cmd/")
	return slices.Contains(allowed[from], to) || strings.HasPrefix(to, from+"/internal/") || own && strings.HasPrefix(to, from+"/")
}

func zproxyModules(t *testing.T) []string {
	out := goCommand(t, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/zproxy")
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	return slices.Compact(modules)
}

// commandExists: until cmd/zproxy has Go files nothing is linked, and the list must be empty.
func commandExists(t *testing.T) bool {
	files, err := filepath.Glob(root + "/cmd/zproxy/*.go")
	if err != nil {
		t.Fatal(err)
	}
	return len(files) > 0
}

func TestLinkedModulesChangeOnPurpose(t *testing.T) {
	text, err := os.ReadFile("testdata/linked-modules.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if commandExists(t) {
		got = zproxyModules(t)
	}
	if want := strings.Fields(string(text)); !slices.Equal(got, want) {
		t.Errorf("cmd/zproxy links\n%s\nthe list has\n%s\nif that is on purpose:\n"+
			"go list -deps -f '{{with .Module}}{{.Path}}{{end}}' ./cmd/zproxy | LC_ALL=C sort -u > internal/project/testdata/linked-modules.txt",
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNoTestServerIsLinkedIntoZproxy(t *testing.T) {
	if !commandExists(t) {
		t.Log("cmd/zproxy has no Go files yet: nothing is linked")
		return
	}
	for _, p := range strings.Fields(string(goCommand(t, "list", "-deps", "./cmd/zproxy"))) {
		for _, banned := range []string{module + "internal/sandbox", module + "internal/spiffe/agent", "github.com/zitadel/zitadel-go", "github.com/zitadel/oidc", "testing"} {
			if p == banned || strings.HasPrefix(p, banned+"/") {
				t.Errorf("cmd/zproxy links %s, which is for tests and the demo", p)
			}
		}
	}
}
