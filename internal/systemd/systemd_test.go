package systemd_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/internal/systemd"
)

// TestMain is the process that systemd would start, where its environment says so.
func TestMain(m *testing.M) {
	if os.Getenv("SYSTEMD_TEST_CHILD") == "" {
		goleak.VerifyTestMain(m)
		return
	}
	os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	sockets, err := systemd.Inherit([]string{"mesh", "local"})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	l, ok := sockets.Take("mesh")
	_, again := sockets.Take("mesh")
	_, other := sockets.Take("local")
	fmt.Println(ok, again, other, os.Getenv("LISTEN_FDS") == "")
	if !ok {
		return
	}
	c, err := l.Accept()
	if err == nil {
		_, _ = io.WriteString(c, "hello")
		_ = c.Close()
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func child(t *testing.T, names string, files ...*os.File) string {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "SYSTEMD_TEST_CHILD=1", "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+names)
	c.ExtraFiles = files
	out, err := c.Output()
	check(t, err)
	return strings.TrimSpace(string(out))
}

func socket(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	f, err := l.(*net.TCPListener).File()
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f, l.Addr().String()
}

func TestASocketOfSystemdServesItsListener(t *testing.T) {
	f, address := socket(t)
	said := make(chan string, 1)
	go func() {
		c, err := net.Dial("tcp", address) // before anybody accepts: nothing is lost over a restart
		if err != nil {
			said <- err.Error()
			return
		}
		text, _ := io.ReadAll(c)
		_ = c.Close()
		said <- string(text)
	}()
	if out := child(t, "mesh", f); out != "true false false true" {
		t.Errorf("the child says %q", out)
	}
	if got := <-said; got != "hello" {
		t.Errorf("the caller got %q", got)
	}
}

func TestSocketsThatNobodyWantsAreAnError(t *testing.T) {
	f, _ := socket(t)
	g, _ := socket(t)
	for names, c := range map[string][]*os.File{"unknown": {f}, "mesh:mesh": {f, g}} {
		if out := child(t, names, c...); !strings.HasPrefix(out, "error: taking sockets from systemd: ") {
			t.Errorf("%s: the child says %q", names, out)
		}
	}
	if sockets, err := systemd.Inherit(nil); err != nil {
		t.Error(err)
	} else if _, ok := sockets.Take("mesh"); ok {
		t.Error("a socket out of nowhere")
	}
}

func TestSystemdIsToldHowThingsAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	check(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "100000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	told := func() string {
		check(t, l.SetReadDeadline(time.Now().Add(5*time.Second)))
		text := make([]byte, 256)
		n, err := l.Read(text)
		check(t, err)
		return string(text[:n])
	}
	systemd.Ready("serving 2 listeners")
	if got := told(); got != "READY=1\nSTATUS=serving 2 listeners" {
		t.Errorf("told %q", got)
	}
	systemd.Reloading()
	if got := told(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("told %q", got)
	}
	systemd.Stopping()
	if got := told(); got != "STOPPING=1" {
		t.Errorf("told %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- systemd.Watchdog(ctx, func() bool { return true }) }()
	if got := told(); got != "WATCHDOG=1" {
		t.Errorf("told %q", got)
	}
	cancel()
	check(t, <-ended)
}
