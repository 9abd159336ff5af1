package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is the program as systemd runs it: with sockets and a place to notify.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	log      *output
	notified *output
	waited   func() error
}

// output may be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// waits until it says text.
func (o *output) waits(t *testing.T, text string) {
	t.Helper()
	o.waitsFor(t, regexp.MustCompile(regexp.QuoteMeta(text)))
}

func (o *output) waitsFor(t *testing.T, pattern *regexp.Regexp) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !pattern.MatchString(o.String()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not say %q within 30 s:\n%s", pattern, o)
		}
	}
}

// startProcess runs zproxy with a configuration, and with sockets by the names
// of listeners, if there are some.
func startProcess(t *testing.T, config string, sockets map[string]*os.File) *process {
	t.Helper()
	p := &process{t: t, log: new(output), notified: new(output)}
	dir, err := os.MkdirTemp("", "zp") // names of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	notify := filepath.Join(dir, "notify")
	hears, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	go p.hear(hears)
	t.Cleanup(func() { _ = hears.Close() })
	// The shell knows the pid that the program is going to have.
	p.cmd = exec.Command("/bin/sh", "-c", `export LISTEN_PID=$$; exec zproxy "$@"`, "sh", "run", "--log-format", "json", "--config", config)
	p.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	var names []string
	for name, f := range sockets {
		names = append(names, name)
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, f)
	}
	if len(names) > 0 {
		p.cmd.Env = append(p.cmd.Env, fmt.Sprint("LISTEN_FDS=", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.waited = sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.waited() })
	p.notified.waits(t, "READY=1")
	return p
}

func (p *process) hear(from *net.UnixConn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(p.notified, "%s\n", buffer[:n])
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for a clean end.
func (p *process) ends() {
	p.t.Helper()
	if err := p.waited(); err != nil {
		p.t.Errorf("%v\n%s", err, p.log)
	}
}
