package deploytest_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// root is where the project is.
const root = "../.."

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	check(t, err)
	return text
}

// run runs a program in the project's folder and returns what it says.
func run(t testing.TB, environment []string, program string, args ...string) string {
	t.Helper()
	c := exec.Command(program, args...)
	c.Dir, c.Env = root, append(os.Environ(), environment...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// exitCode runs a program that may fail, and returns what it says beside its code.
func exitCode(t testing.TB, program string, args ...string) (int, string) {
	t.Helper()
	c := exec.Command(program, args...)
	c.Dir = root
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), string(out)
}

// zproxy is the program, built once for all tests, of version 1.2.3-test.
var zproxy string

func TestMain(m *testing.M) { os.Exit(buildAndTest(m)) }

func buildAndTest(m *testing.M) int {
	dir, err := os.MkdirTemp("", "zproxy-deploytest-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	zproxy = filepath.Join(dir, "zproxy")
	c := exec.Command("make", "--no-print-directory", "build", "BINARY="+zproxy, "VERSION=1.2.3-test", "REVISION=0123456789abcdef")
	c.Dir, c.Stderr = root, os.Stderr
	if err := c.Run(); err != nil {
		panic(err)
	}
	return m.Run()
}
