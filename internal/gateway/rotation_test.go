package gateway_test

import (
	"context"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

const rotatingFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users:
  - {name: key, private_key_jwt: {key_file: "$DIR/key.json", rotate: {every: 1500ms, grace: 400ms}}}
  - {name: pat, personal_access_token: {token_file: "$DIR/pat"}}
rules:
  - {name: a, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/ListUsers], as: key}
  - {name: b, callers: ["anonymous:local"], operations: [zitadel.org.v2.OrganizationService/ListOrganizations], as: pat}
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
`

// lines collects a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A key is replaced by itself while callers call: its token is changed under
// them, the old key leaves ZITADEL, and none of them notices.
func TestKeyIsReplacedUnderTrafficWithoutAFailedRequest(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	dir, id, exporter := t.TempDir(), s.AddMachineUser("key", "IAM_OWNER"), s.AddMachineUser("pat", "IAM_OWNER")
	key, err := s.KeyFile(id)
	check(t, err)
	write(t, filepath.Join(dir, "key.json"), string(key))
	soon := time.Now().Add(10 * 24 * time.Hour)
	write(t, filepath.Join(dir, "pat"), s.AddPATUntil(exporter, soon))
	first := s.Keys(id)[0]

	cfg, err := config.Parse("rotating.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", dir).Replace(rotatingFile)))
	check(t, err)
	log := new(lines)
	g, err := gateway.New(cfg, gateway.Options{Log: zerolog.New(log)})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-ended) })
	until(t, "ready", g.Ready)

	var sent, failed atomic.Int64
	call, stop := context.WithCancel(ctx)
	var callers sync.WaitGroup
	begin := time.Now()
	for range 4 {
		callers.Go(func() {
			client := &http.Client{Transport: new(http.Transport)}
			defer client.CloseIdleConnections()
			for call.Err() == nil {
				res, err := client.Post("http://"+g.Address("local").String()+"/v2/users", "application/json", strings.NewReader("{}"))
				sent.Add(1)
				if err != nil {
					failed.Add(1)
					continue
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				_ = res.Body.Close()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	until(t, "the first key is gone", func() bool { return !slices.Contains(s.Keys(id), first) })
	until(t, "the new key is taken up", func() bool { return strings.Contains(log.String(), "credential-changed") })
	stop()
	callers.Wait()
	t.Logf("%d calls, %.0f a second", sent.Load(), float64(sent.Load())/time.Since(begin).Seconds())
	if failed.Load() > 0 || sent.Load() == 0 {
		t.Errorf("%d of %d requests failed\n%s", failed.Load(), sent.Load(), log)
	}
	until(t, "the token's end is known", func() bool {
		return strings.Contains(metrics(t, g), `zproxy_credential_expiry_timestamp_seconds{service_user="pat"}`)
	})
	text := metrics(t, g)
	if value(t, text, `zproxy_key_rotations_total{result="done",service_user="key"}`) < 1 || value(t, text, `zproxy_key_rotations_total{result="failed",service_user="key"}`) != 0 {
		t.Errorf("rotations are miscounted\n%s", text)
	}
	if got := value(t, text, `zproxy_credential_expiry_timestamp_seconds{service_user="pat"}`); math.Abs(got-float64(soon.Unix())) > 2 {
		t.Errorf("the token ends at %f, want %d", got, soon.Unix())
	}
	until(t, "the warning", func() bool { return strings.Contains(log.String(), "credential-expiring") })
	if info, err := os.Stat(filepath.Join(dir, "key.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Error("the log shows a key")
	}
}

// until waits for something that must come.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 6000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}

// value is that of one series.
func value(t *testing.T, text, series string) float64 {
	t.Helper()
	_, after, found := strings.Cut(text, "\n"+series+" ")
	line, _, _ := strings.Cut(after, "\n")
	v, err := strconv.ParseFloat(line, 64)
	if !found || err != nil {
		t.Fatalf("no series %s: %v", series, err)
	}
	return v
}

func metrics(t *testing.T, g *gateway.Gateway) string {
	t.Helper()
	res, err := http.Get("http://" + g.Address("admin").String() + "/metrics")
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	return string(text)
}

func TestKeyFilesAreWritableOnlyWhereTheyAreReplaced(t *testing.T) {
	for rotate, want := range map[string]bool{"": false, ", rotate: {}": true} {
		text := strings.NewReplacer("$ISSUER", "https://acme.zitadel.cloud", "$DIR", "/keys", ", rotate: {every: 1500ms, grace: 400ms}", rotate).Replace(rotatingFile)
		cfg, err := config.Parse("rotating.yaml", []byte(text))
		check(t, err)
		if f := gateway.FilesOf(cfg); slices.Contains(f.Write, "/keys/key.json") != want || !slices.Contains(f.Read, "/keys/key.json") {
			t.Errorf("%q: writes %v, reads %v", rotate, f.Write, f.Read)
		}
	}
}
