package gateway_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

// live is a gateway whose configuration is in a file, and a sandbox behind it.
type live struct {
	*gateway.Gateway
	sandbox *sandbox.Sandbox
	dir     string
	log     *safeBuffer
	client  *http.Client
	end     func() error // drains, once
}

// safeBuffer may be read while it is written.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

const liveListeners = `listeners:
  - {name: local, address: "127.0.0.1:0", callers: {anonymous: local}}
`

const liveRules = `rules:
  - {name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/ListUsers], as: reader}
`

const liveRest = `service_users:
  - {name: reader, private_key_jwt: {key_file: "$DIR/key.json"}}
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
`

// goLive serves by the parts of a configuration.
func goLive(t *testing.T, parts ...string) *live {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	l := &live{sandbox: s, dir: t.TempDir(), log: new(safeBuffer), client: &http.Client{Transport: new(http.Transport), Timeout: 20 * time.Second}}
	key, err := s.KeyFile(s.AddMachineUser("reader", "IAM_OWNER"))
	check(t, err)
	write(t, filepath.Join(l.dir, "key.json"), string(key))
	l.configure(t, parts...)
	reread := func() (*config.Config, error) { return config.Load(l.file()) }
	cfg, err := reread()
	check(t, err)
	l.Gateway, err = gateway.New(cfg, gateway.Options{Log: zerolog.New(l.log), Reread: reread, File: l.file()})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	l.end = sync.OnceValue(func() error { cancel(); l.client.CloseIdleConnections(); return <-ended })
	t.Cleanup(func() { check(t, l.end()) })
	eventually(t, "ready", l.Ready)
	return l
}

func (l *live) file() string { return filepath.Join(l.dir, "zproxy.yaml") }

// configure replaces the file as a whole.
func (l *live) configure(t *testing.T, parts ...string) {
	t.Helper()
	text := "version: 1\nupstream: {issuer: \"$ISSUER\"}\n" + strings.Join(parts, "")
	text = strings.NewReplacer("$ISSUER", l.sandbox.Issuer().String(), "$DIR", l.dir).Replace(text)
	write(t, l.file()+".new", text)
	check(t, os.Rename(l.file()+".new", l.file()))
}

// status is what a call through the named listener is answered with.
func (l *live) status(t *testing.T, listener, path string) int {
	t.Helper()
	res, err := l.client.Post("http://"+l.Address(listener).String()+path, "application/json", strings.NewReader("{}"))
	check(t, err)
	defer res.Body.Close()
	return res.StatusCode
}

// eventually waits, for as long as a slow machine may need.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

const (
	listUsers         = "/v2/users"
	listOrganizations = "/v2/organizations/_search"
)

const otherRules = `rules:
  - {name: other, callers: ["anonymous:local"], operations: [zitadel.org.v2.OrganizationService/ListOrganizations], as: reader}
`

func TestAReloadReplacesTheRulesAndKeepsTheTokens(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	if a, b := l.status(t, "local", listUsers), l.status(t, "local", listOrganizations); a != 200 || b != 403 {
		t.Fatalf("before: %d, %d", a, b)
	}
	before := l.Address("local").String()
	l.configure(t, liveListeners, otherRules, liveRest)
	check(t, l.Reload())
	if a, b := l.status(t, "local", listUsers), l.status(t, "local", listOrganizations); a != 403 || b != 200 {
		t.Fatalf("after: %d, %d", a, b)
	}
	if l.Address("local").String() != before {
		t.Error("the listener did not change, and has another socket")
	}
	if n := l.tokenRequests(); n != 1 {
		t.Errorf("%d token requests, want the first one only", n)
	}
}

func (l *live) tokenRequests() int {
	return strings.Count(l.log.String(), `"message":"token-obtained"`)
}
