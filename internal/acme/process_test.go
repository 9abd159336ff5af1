package acme_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/acme"
)

const childConfig = "ACME_TEST_CHILD_CONFIG"

// child is what this test binary does with a configuration in its environment:
// it obtains the certificates, and serves nothing.
func child(text string) error {
	var c acme.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	c.Log = zerolog.New(os.Stdout)
	m, err := acme.New(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	for ctx.Err() == nil && !m.Status()[0].Ready(time.Now()) {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	return errors.Join(<-done, m.Status()[0].Err)
}

func childCommand(t *testing.T, c acme.Config) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(struct {
		Hosts                      []string
		Directory, CAFile, Storage string
	}{c.Hosts, c.Directory, c.CAFile, c.Storage})
	check(t, err)
	self, err := os.Executable()
	check(t, err)
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), childConfig+"="+string(text))
	return command
}

// Of processes behind one name the authority may check any.
func TestACheckOfAnotherProcessIsAnswered(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	c := e.config(a)
	unable := c
	unable.CAFile = filepath.Join(t.TempDir(), "other.pem") // so that this one obtains nothing
	check(t, os.WriteFile(unable.CAFile, pemBlock("CERTIFICATE", newCA(t, "other").cert.Raw), 0o600))
	m := mustNew(t, unable)
	e.serve(m)
	run(t, m)
	until(t, "a failure", 20*time.Second, func() bool { return m.Status()[0].Err != nil })
	if out, err := childCommand(t, c).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	until(t, "the other's certificate", 25*time.Second, ready(m))
	_, err := e.get(a.roots(0), host)
	check(t, err)
}

func TestAKilledProcessDelaysNoStart(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{}) // its checks go to e, where nobody answers yet
	c := e.config(a)
	command := childCommand(t, c)
	out, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "lock acquired") {
			break
		}
	}
	check(t, command.Process.Signal(syscall.SIGKILL))
	_ = command.Wait()

	m := mustNew(t, c)
	e.serve(m)
	started := time.Now()
	run(t, m)
	until(t, "a certificate", 5*time.Second, ready(m))
	t.Logf("obtained after %v", time.Since(started).Round(time.Millisecond))
}

// listening returns the inodes of this process's listening TCP sockets.
func listening(t *testing.T) map[string]bool {
	t.Helper()
	own := make(map[string]bool)
	links, err := filepath.Glob("/proc/self/fd/*")
	check(t, err)
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	found := make(map[string]bool)
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(table)
		check(t, err)
		for line := range strings.Lines(string(text)) {
			const state, inode, listen = 3, 9, "0A"
			if f := strings.Fields(line); len(f) > inode && f[state] == listen && own[f[inode]] {
				found[fmt.Sprintf("%s %s", f[1], f[inode])] = true
			}
		}
	}
	return found
}

func TestNoSocketIsOpenedToTheNetworkAndNothingIsLeft(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	m := mustNew(t, e.config(a))
	e.serve(m)
	before := listening(t)
	stop := run(t, m)
	opened := make(map[string]bool)
	for end := time.Now().Add(30 * time.Second); !ready(m)() && time.Now().Before(end); {
		for socket := range listening(t) {
			if !before[socket] {
				opened[socket] = true
			}
		}
	}
	if len(opened) != 1 {
		t.Errorf("%d sockets were opened, want the one that is held: %v", len(opened), opened)
	}
	const loopback = "0100007F:"
	for socket := range opened {
		if !strings.HasPrefix(socket, loopback) {
			t.Errorf("%s is not on the loopback interface", socket)
		}
	}
	stop() // with the authority still there: its end would end connections to it
	if after := listening(t); len(after) != len(before) {
		t.Errorf("after Run: %v, before: %v", after, before)
	}
	left := func() string {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, s := range strings.Split(string(stacks), "\n\n") {
			for _, ours := range []string{"certmagic", "acmez", "internal/acme.", "net/http.(*persistConn)", "http2ClientConn", "http2clientConn"} {
				if strings.Contains(s, ours) && !strings.Contains(s, "testing.tRunner") {
					return s
				}
			}
		}
		return ""
	}
	until(t, "nothing is left: "+left(), 2*time.Second, func() bool { return left() == "" })
}
