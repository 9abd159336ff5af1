package listener_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/zproxy/zproxy/internal/listener"
)

func TestSocketHasItsModeAndIsRemovedOnClose(t *testing.T) {
	dir := t.TempDir()
	for _, mode := range []fs.FileMode{0, 0o600, 0o660, 0o666} {
		path := filepath.Join(dir, "s")
		l, err := listener.Open(listener.Spec{Name: "a", Network: "unix", Address: path, Mode: mode})
		check(t, err)
		info, err := os.Stat(path)
		check(t, err)
		want := mode
		if want == 0 {
			want = 0o600
		}
		if info.Mode().Perm() != want {
			t.Errorf("mode %v, want %v", info.Mode().Perm(), want)
		}
		c, err := net.Dial("unix", path)
		check(t, err)
		check(t, c.Close())
		check(t, l.Close())
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
}

func TestStaleSocketIsReplacedAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	spec := listener.Spec{Name: "a", Network: "unix", Address: path}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	check(t, err)
	stale.SetUnlinkOnClose(false)
	if _, err := listener.Open(spec); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a socket in use: %v", err)
	}
	check(t, stale.Close())
	l, err := listener.Open(spec)
	check(t, err)
	check(t, l.Close())
	check(t, os.WriteFile(path, []byte("precious"), 0o600))
	if _, err := listener.Open(spec); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file is gone: %v", err)
	}
}

func TestCloseLeavesTheSocketOfASuccessor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	spec := listener.Spec{Name: "a", Network: "unix", Address: path}
	first, err := listener.Open(spec)
	check(t, err)
	check(t, os.Remove(path))
	second, err := listener.Open(spec)
	check(t, err)
	defer second.Close()
	check(t, first.Close())
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestFaultsSayWhatToDo(t *testing.T) {
	used, err := listener.Open(loopback)
	check(t, err)
	defer used.Close()
	for _, test := range []struct {
		spec listener.Spec
		want string
	}{
		{listener.Spec{Network: "tcp", Address: used.Addr().String()}, "stop the process"},
		{listener.Spec{Network: "tcp", Address: "192.0.2.1:0"}, "an address that this machine has"},
		{listener.Spec{Network: "unix", Address: "/nowhere/s"}, "create the directory /nowhere"},
		{listener.Spec{Network: "unix", Address: t.TempDir() + "/" + strings.Repeat("s", 120)}, "shorter path"},
		{listener.Spec{Network: "unix", Address: t.TempDir() + "/s", Mode: fs.ModeSetuid | 0o600}, "permission bits"},
		{listener.Spec{Network: "udp", Address: "127.0.0.1:0"}, "tcp or unix"},
	} {
		test.spec.Name = "local"
		_, err := listener.Open(test.spec)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "listener local") {
			t.Errorf("%+v: %v", test.spec, err)
		}
	}
}
