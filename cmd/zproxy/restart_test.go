package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/sandbox"
)

// site is a stand-in for ZITADEL and a directory for configurations.
type site struct {
	*sandbox.Sandbox
	dir string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	at := &site{s, t.TempDir()}
	key, err := s.KeyFile(s.AddMachineUser("reader", "IAM_OWNER"))
	if err != nil {
		t.Fatal(err)
	}
	at.write(t, "key.json", string(key))
	return at
}

func (s *site) write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(s.dir, name)
	text = strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", s.dir).Replace(text)
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	return file
}

const siteFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: reader, private_key_jwt: {key_file: "$DIR/key.json"}}]
rules: [{name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/ListUsers, zitadel.user.v2.UserService/GetUserByID], as: reader}]
audit: {file: "$DIR/audit.jsonl"}
`

// listening is a socket as systemd keeps it.
func listening(t *testing.T) (address string, passed *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if passed, err = l.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = passed.Close() })
	return l.Addr().String(), passed
}

// callers call until their context ends, over new connections and over ones
// that are kept, by HTTP/1.1 and HTTP/2.
type callers struct {
	running       sync.WaitGroup
	calls, failed atomic.Int64
	first         atomic.Pointer[string]
}

func (c *callers) call(ctx context.Context, what string, client *http.Client, in func() (*http.Request, error)) {
	c.running.Go(func() {
		defer client.CloseIdleConnections()
		for ctx.Err() == nil {
			c.calls.Add(1)
			if err := answered(client, in); err != nil {
				c.failed.Add(1)
				said := what + ": " + err.Error()
				c.first.CompareAndSwap(nil, &said)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func answered(client *http.Client, make func() (*http.Request, error)) error {
	in, err := make()
	if err != nil {
		return err
	}
	in.Header.Set("Content-Type", "application/json")
	res, err := client.Do(in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("%d: %s", res.StatusCode, text))
	}
	return nil
}

// Processes take turns at one socket, under load: no connection is refused and
// no call fails, whether the next one is there before the last one ends, or after.
func TestARestartRefusesNoConnection(t *testing.T) {
	s := newSite(t)
	address, socket := listening(t)
	file := s.write(t, "zproxy.yaml", siteFile)
	run := func() *process { return startProcess(t, file, map[string]*os.File{"local": socket}) }
	now := run()
	user := s.Users()["alice@acme.example"]
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	list := func() (*http.Request, error) {
		return http.NewRequest(http.MethodPost, "http://"+address+"/v2/users", strings.NewReader("{}"))
	}
	get := func() (*http.Request, error) {
		return http.NewRequest(http.MethodGet, "http://"+address+"/v2/users/"+user, http.NoBody)
	}
	ctx, stop := context.WithCancel(t.Context())
	var c callers
	c.call(ctx, "new connections", &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}, list)
	c.call(ctx, "kept connections", &http.Client{Transport: new(http.Transport), Timeout: time.Minute}, get)
	c.call(ctx, "HTTP/2", &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: time.Minute}, list)
	for range 2 {
		next := run()
		now.signal(syscall.SIGTERM)
		now.ends()
		now = next
	}
	now.signal(syscall.SIGTERM)
	now.ends()
	now = run() // those who connected meanwhile have waited
	stop()
	c.running.Wait()
	now.signal(syscall.SIGTERM)
	now.ends()
	if c.failed.Load() > 0 {
		t.Errorf("%d of %d calls failed, the first: %s", c.failed.Load(), c.calls.Load(), *c.first.Load())
	}
	if !strings.Contains(now.notified.String(), "STOPPING=1") {
		t.Errorf("systemd heard %s", now.notified)
	}
	t.Logf("%d calls", c.calls.Load())
}
