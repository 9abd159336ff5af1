package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// ruled is a policy that serves ListUsers by a rule of this name, as a service
// user of this name.
func ruled(name string) string {
	return strings.NewReplacer("$NAME", name).Replace(`rules:
  - {name: by-$NAME, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/ListUsers], as: $NAME}
service_users:
  - {name: $NAME, private_key_jwt: {key_file: "$DIR/key.json"}}
audit: {file: "$DIR/audit-$NAME.jsonl"}
admin: {address: "127.0.0.1:0"}
`)
}

// barrage makes calls by each protocol until its context ends.
type barrage struct {
	calls, failed atomic.Int64
	first         atomic.Pointer[string]
	running       sync.WaitGroup
}

// call makes calls of one kind, each a moment after the last one.
func (d *barrage) call(ctx context.Context, kind string, one func() error) {
	d.running.Go(func() {
		for ctx.Err() == nil {
			d.calls.Add(1)
			if err := one(); err != nil {
				d.failed.Add(1)
				said := kind + ": " + err.Error()
				d.first.CompareAndSwap(nil, &said)
			}
			time.Sleep(15 * time.Millisecond)
		}
	})
}

func post(client *http.Client, address string) error {
	res, err := client.Post("http://"+address+listUsers, "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		return fmt.Errorf("%d, %s, %w", res.StatusCode, text, err)
	}
	return nil
}

// begin calls by HTTP/1.1, HTTP/2 and gRPC: about 200 times a second together.
func (d *barrage) begin(t *testing.T, ctx context.Context, address string) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	one, two := &http.Client{Transport: new(http.Transport)}, &http.Client{Transport: &http.Transport{Protocols: protocols}}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() { one.CloseIdleConnections(); two.CloseIdleConnections(); check(t, conn.Close()) })
	users := userv2.NewUserServiceClient(conn)
	d.call(ctx, "HTTP/1.1", func() error { return post(one, address) })
	d.call(ctx, "HTTP/2", func() error { return post(two, address) })
	d.call(ctx, "gRPC", func() error {
		_, err := users.ListUsers(context.Background(), &userv2.ListUsersRequest{})
		return err
	})
}

// Reloads under load: no call fails, each is served by one policy and recorded
// once, and no record is lost where the audit log changes with the policy. The
// longer form is make reload-load.
func TestReloadsUnderLoadFailNoCall(t *testing.T) {
	reloads, pause := 10, 300*time.Millisecond
	if os.Getenv("ZPROXY_LONG_RELOAD") != "" {
		reloads, pause = 20, time.Second
	}
	l := goLive(t, liveListeners, ruled("a"))
	ctx, stop := context.WithCancel(t.Context())
	var d barrage
	for range 1 + reloads/20 {
		d.begin(t, ctx, l.Address("local").String())
	}
	for i := range reloads {
		time.Sleep(pause)
		l.configure(t, liveListeners, ruled([]string{"b", "a"}[i%2]))
		check(t, l.Reload())
	}
	stop()
	d.running.Wait()
	if d.failed.Load() > 0 {
		t.Errorf("%d of %d calls failed, the first: %s", d.failed.Load(), d.calls.Load(), *d.first.Load())
	}
	check(t, l.end())
	seen := make(map[uint64]bool)
	for _, name := range []string{"a", "b"} {
		for _, r := range records(t, filepath.Join(l.dir, "audit-"+name+".jsonl")) {
			if seen[r.Seq] {
				t.Errorf("record %d is there twice", r.Seq)
			}
			seen[r.Seq] = true
			if r.Rule != "by-"+r.ServiceUser {
				t.Errorf("a request was decided by %s and served as %s", r.Rule, r.ServiceUser)
			}
		}
	}
	for i := range d.calls.Load() {
		if !seen[uint64(i)+1] {
			t.Errorf("record %d of %d is lost", i+1, d.calls.Load())
			break
		}
	}
	t.Logf("%d calls, %d reloads", d.calls.Load(), reloads)
}

// Log rotation moves the file away: what is written after the reload is in a new
// one of the same name.
func TestARotatedAuditLogIsOpenedAnew(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	file := filepath.Join(l.dir, "audit.jsonl")
	for i := range 3 {
		l.status(t, "local", listUsers)
		check(t, os.Rename(file, fmt.Sprint(file, i)))
		l.status(t, "local", listUsers) // still into the file that was moved
		check(t, l.Reload())
	}
	for i := range 3 {
		all := records(t, fmt.Sprint(file, i))
		if len(all) != 2 || all[0].Seq != uint64(2*i+1) || all[1].Seq != uint64(2*i+2) {
			t.Errorf("file %d: %+v", i, all)
		}
	}
}

// What a reload opens and starts ends with the next one.
func TestReloadsHoldNothing(t *testing.T) {
	l := goLive(t, liveListeners, ruled("a"))
	a := newAuthority(t)
	cert, key := pair(t, a.issue(forServer))
	write(t, filepath.Join(l.dir, "server.crt"), cert)
	write(t, filepath.Join(l.dir, "server.key"), key)
	more := liveListeners + `  - {name: more, address: "127.0.0.1:0", tls: {certificate_file: "$DIR/server.crt", key_file: "$DIR/server.key"}, callers: {anonymous: local}}
`
	turn := func() {
		l.configure(t, more, ruled("b"))
		check(t, l.Reload())
		check(t, post(l.client, l.Address("local").String()))
		l.configure(t, liveListeners, ruled("a"))
		check(t, l.Reload())
		check(t, post(l.client, l.Address("local").String()))
	}
	turn()
	files := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		check(t, err)
		return len(all)
	}
	settled := func() (int, int) {
		l.client.CloseIdleConnections()
		least, fds := runtime.NumGoroutine(), files()
		for range 40 {
			time.Sleep(10 * time.Millisecond)
			least, fds = min(least, runtime.NumGoroutine()), min(fds, files())
		}
		return least, fds
	}
	goroutines, fds := settled()
	for range 25 {
		turn()
	}
	eventually(t, fmt.Sprintf("back to %d goroutines and %d files", goroutines, fds), func() bool {
		g, f := settled()
		return g <= goroutines+2 && f <= fds+2
	})
}
