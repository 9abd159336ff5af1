package confine_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/confine"
)

// TestMain is the confined process, where the environment names a directory for it.
func TestMain(m *testing.M) {
	dir := os.Getenv("CONFINE_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	said, err := confine.Apply(confine.Files{Read: []string{at("read/a")}, Write: []string{at("audit/log")}, WriteDirs: []string{at("storage")}})
	fmt.Println("said", said, err)
	try := func(what string, err error) { fmt.Println(what, err == nil) }
	read := func(name string) error { _, err := os.ReadFile(name); return err }
	try("read", read(at("read/a")))
	try("replaced", os.Rename(at("audit/next"), at("audit/log")))
	try("append", os.WriteFile(at("audit/log"), []byte("x"), 0o600))
	try("rotate", os.Rename(at("audit/log"), at("audit/log.1")))
	try("store", os.MkdirAll(at("storage/a/b"), 0o700))
	try("hosts", read("/etc/hosts"))
	try("status", read("/proc/self/status"))
	l, err := net.Listen("unix", at("audit/socket"))
	try("socket", err)
	if err == nil {
		_ = l.Close()
	}
	agent, err := net.Dial("unix", at("other/agent.sock")) // as the SPIFFE agent's: connecting is not opening
	if try("connect", err); err == nil {
		_ = agent.Close()
	}
	try("link", func() error {
		if err := os.Mkdir(at("audit/private"), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(at("audit/private/s"), nil, 0o600); err != nil {
			return err
		}
		return os.Link(at("audit/private/s"), at("audit/s"))
	}())
	try("write what may be read", os.WriteFile(at("read/a"), []byte("x"), 0o600))
	try("read what is not named", read(at("other/secret")))
	try("read passwords", read("/etc/passwd"))
	try("run", exec.Command("/bin/true").Run())
}

func TestOnlyWhatIsNamedCanBeOpened(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"read/a", "audit/next", "storage/x", "other/secret"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	agent, err := net.Listen("unix", filepath.Join(dir, "other/agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "CONFINE_TEST_DIR="+dir)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := string(out)
	if strings.Contains(text, "this kernel has no Landlock") {
		t.Skip("this kernel has no Landlock, and the process said so")
	}
	for _, want := range []string{
		"said confinement is on: ", "read true", "replaced true", "append true", "rotate true", "store true", "hosts true", "status true", "socket true", "connect true", "link true",
		"write what may be read false", "read what is not named false", "read passwords false", "run false",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the process does not say %q:\n%s", want, text)
		}
	}
}
