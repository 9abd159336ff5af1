package gateway_test

import (
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
	log     *journal
	client  *http.Client
	end     func() error // drains, once
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
	return goLiveWith(t, gateway.Options{}, nil, parts...)
}

// goLiveFrom has these files beside the configuration.
func goLiveFrom(t *testing.T, files map[string]string, parts ...string) *live {
	t.Helper()
	return goLiveWith(t, gateway.Options{}, files, parts...)
}

func goLiveWith(t *testing.T, options gateway.Options, files map[string]string, parts ...string) *live {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	l := &live{sandbox: s, dir: t.TempDir(), log: new(journal), client: &http.Client{Transport: new(http.Transport), Timeout: 20 * time.Second}}
	key, err := s.KeyFile(s.AddMachineUser("reader", "IAM_OWNER"))
	check(t, err)
	write(t, filepath.Join(l.dir, "key.json"), string(key))
	for name, text := range files {
		write(t, filepath.Join(l.dir, name), text)
	}
	l.configure(t, parts...)
	options.Log, options.File = zerolog.New(l.log), l.file()
	options.Reread = func() (*config.Config, error) { return config.Load(l.file()) }
	cfg, err := options.Reread()
	check(t, err)
	l.Gateway, err = gateway.New(cfg, options)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	l.end = sync.OnceValue(func() error { cancel(); l.client.CloseIdleConnections(); return <-ended })
	t.Cleanup(func() {
		if err := l.end(); err != nil && !strings.Contains(err.Error(), "cut off") {
			t.Error(err)
		}
	})
	eventually(t, "ready", l.Ready)
	return l
}

func (l *live) file() string { return filepath.Join(l.dir, "zproxy.yaml") }

// configure replaces the file as a whole.
func (l *live) configure(t *testing.T, parts ...string) {
	t.Helper()
	text := strings.Join(parts, "")
	if !strings.Contains(text, "upstream:") {
		text = "upstream: {issuer: \"$ISSUER\"}\n" + text
	}
	text = "version: 1\n" + text
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
