package conformance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestReferenceClientAgainstReferenceServerBehindZproxy(t *testing.T) {
	suite(t, roleServer, "referenceserver")
}

func TestReferenceClientThroughZproxyAgainstSuitesServers(t *testing.T) {
	suite(t, roleClient, "referenceclient")
}

// suite runs all cases with zproxy on the side of the server or of the client.
func suite(t *testing.T, role, reference string) {
	dir := t.TempDir()
	build(t, dir, "connectconformance")
	build(t, dir, reference)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "connectconformance"), "--mode", role, "--conf", "testdata/config.yaml",
		"--known-failing", "@testdata/"+role+"-known-failing.txt", "--", self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, referenceVariable+"="+filepath.Join(dir, reference))
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Logf("%s", strings.Join(lines[max(0, len(lines)-4):], "\n"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func build(t *testing.T, dir, program string) {
	t.Helper()
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, program), "connectrpc.com/conformance/cmd/"+program).CombinedOutput()
	if err != nil {
		t.Fatalf("building %s: %v\n%s", program, err, out)
	}
}
