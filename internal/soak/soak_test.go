package soak_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/keys"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		if err := playZitadel(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Calls a second: half of what two shared cores serve at ease, and what a test
// among others may take of them.
const (
	halfLoad  = 500
	smallLoad = 20
)

const soakFile = `version: 1
upstream: {issuer: "$ISSUER", address: "http://$ADDRESS"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: soak, private_key_jwt: {key_file: "$DIR/key.json", rotate: {every: $EVERY, grace: $GRACE}}}]
rules:
  - {name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/GetUserByID, zitadel.user.v2.UserService/ListUsers, zitadel.settings.v2.SettingsService/GetGeneralSettings], as: soak}
$MORE
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
`

// held is what a process holds.
type held struct {
	goroutines, files int
	heap              uint64
}

func measure() held {
	runtime.GC()
	runtime.GC() // what pools held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd")
	return held{runtime.NumGoroutine(), len(open), m.HeapAlloc}
}

// within tells whether h is at most 5 % above base.
func (h held) within(base held) bool {
	near := func(now, then uint64) bool { return now <= then+then/20 }
	return near(uint64(h.goroutines), uint64(base.goroutines)) && near(uint64(h.files), uint64(base.files)) && near(h.heap, base.heap)
}

// world is a gateway with all around it.
type world struct {
	*gateway.Gateway
	zitadel           zitadel
	road              *road
	load              *load
	dir               string
	every             time.Duration // from one disturbance to the next: a key serves two of them
	rules             atomic.Int64  // decides what the next reload reads
	reloads, restarts int
}

func newWorld(t *testing.T, every time.Duration) *world {
	t.Helper()
	w := &world{zitadel: startZitadel(t), dir: t.TempDir(), every: every}
	var err error
	w.road, err = newRoad(strings.TrimPrefix(w.zitadel.Issuer, "http://"))
	check(t, err)
	t.Cleanup(w.road.down)
	check(t, os.WriteFile(filepath.Join(w.dir, "key.json"), w.zitadel.Key, 0o600))
	cfg, err := w.read()
	check(t, err)
	w.Gateway, err = gateway.New(cfg, gateway.Options{Reread: w.read})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-ended) })
	w.load = newLoad("http://"+w.Address("local").String(), w.zitadel.User)
	t.Cleanup(w.load.closeIdle)
	w.until(t, "ready", w.Ready)
	return w
}

// read is the configuration, every other time with a rule more.
func (w *world) read() (*config.Config, error) {
	more := ""
	if w.rules.Add(1)%2 == 0 {
		more = `  - {name: more, callers: ["anonymous:local"], operations: [zitadel.org.v2.OrganizationService/ListOrganizations], as: soak}`
	}
	text := strings.NewReplacer("$ISSUER", w.zitadel.Issuer, "$ADDRESS", w.road.address, "$DIR", w.dir, "$MORE", more,
		"$EVERY", (2 * w.every).String(), "$GRACE", (w.every / 2).String()).Replace(soakFile)
	return config.Parse("soak.yaml", []byte(text))
}

// restart takes ZITADEL away for a second.
func (w *world) restart() error {
	w.load.back.Store(0)
	defer func() { w.load.back.Store(time.Now().UnixNano()) }()
	w.road.down()
	time.Sleep(time.Second)
	return w.road.up()
}

func (w *world) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s within a minute", what)
		}
	}
}

// settled is what the process holds once nobody calls and nothing is connected.
func (w *world) settled(t *testing.T) held {
	t.Helper()
	w.load.closeIdle()
	w.road.down()
	check(t, w.road.up())
	last := measure()
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		now := measure()
		if now.goroutines >= last.goroutines && now.files >= last.files && now.heap+64<<10 >= last.heap {
			return last
		}
		last = now
	}
	return last
}

// disturb changes all that does not change by itself, until ctx ends.
func (w *world) disturb(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var err error
		if n%3 == 0 {
			w.restarts++
			err = w.restart()
		} else {
			w.reloads++
			err = w.Reload()
		}
		if err != nil {
			return err
		}
	}
}

// TestSoak takes as long as SOAK says: 10m in `make soak`, else 10 s.
func TestSoak(t *testing.T) {
	long, rate := 10*time.Second, smallLoad
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		check(t, err)
		rate = halfLoad
	}
	every := max(long/60, time.Second)
	w := newWorld(t, every)
	spell := func(for_ time.Duration, rate int) {
		ctx, cancel := context.WithTimeout(context.Background(), for_)
		defer cancel()
		changed := make(chan error, 1)
		go func() { changed <- w.disturb(ctx, every) }()
		w.load.run(ctx, rate)
		check(t, <-changed)
	}
	// Everything has happened once and made what it keeps, at twice the load: the
	// runtime frees nothing of the most goroutines that there ever were.
	spell(max(long/10, 4*every), 2*rate)
	w.until(t, "ready", w.Ready)
	base := w.settled(t)
	spell(long, rate)
	w.until(t, "ready", w.Ready)
	end := w.settled(t)
	for deadline := time.Now().Add(time.Minute); !end.within(base) && time.Now().Before(deadline); {
		end = w.settled(t)
	}
	w.report(t, long, rate, base, end)
	if !end.within(base) {
		t.Errorf("held at the end %+v, at the beginning %+v", end, base)
	}
}

// report prints what happened, and fails the test for what must not have.
func (w *world) report(t *testing.T, long time.Duration, rate int, base, end held) {
	t.Helper()
	l := w.load
	held := w.keys(t)
	records := w.outcomes(t)
	rotations := w.metric(t, `zproxy_key_rotations_total{result="done",service_user="soak"}`)
	tokens := w.metric(t, `zproxy_token_fetches_total{result="done",service_user="soak"}`)
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "duration\t%s\n", long)
	fmt.Fprintf(table, "calls answered\t%d\n", l.done.Load())
	fmt.Fprintf(table, "answered before their bodies ended\t%d\n", l.early.Load())
	fmt.Fprintf(table, "abandoned by their callers\t%d\n", l.abandoned.Load())
	fmt.Fprintf(table, "unavailable while ZITADEL restarted\t%d, the last %.1f s after it was back\n", l.unavailable.Load(), time.Duration(l.late.Load()).Seconds())
	fmt.Fprintf(table, "lawful calls failed\t%d\n", l.failures)
	fmt.Fprintf(table, "reloads, restarts\t%d, %d\n", w.reloads, w.restarts)
	fmt.Fprintf(table, "keys replaced, tokens fetched\t%d, %d\n", rotations, tokens)
	fmt.Fprintf(table, "keys in ZITADEL\t%s\n", strings.Join(held, ", "))
	fmt.Fprintf(table, "outcome records\t%d\n", records)
	fmt.Fprintf(table, "goroutines\t%d, at the beginning %d\n", end.goroutines, base.goroutines)
	fmt.Fprintf(table, "open files\t%d, at the beginning %d\n", end.files, base.files)
	fmt.Fprintf(table, "heap\t%.1f MiB, at the beginning %.1f MiB\n", float64(end.heap)/(1<<20), float64(base.heap)/(1<<20))
	table.Flush()
	t.Logf("soaked:\n%s", text.String())
	if l.failures > 0 {
		t.Errorf("%d lawful calls failed, the first of them:\n%s", l.failures, strings.Join(l.failed, "\n"))
	}
	if l.done.Load() == 0 || l.early.Load() == 0 || l.abandoned.Load() == 0 || w.reloads == 0 || w.restarts == 0 || rotations == 0 || tokens == 0 {
		t.Error("something did not happen at all")
	}
	if slices.Contains(held, string(keys.Unknown)) || len(held) > 3 {
		t.Errorf("ZITADEL has keys %v of the service user: some are left over", held)
	}
	if least := l.done.Load() + l.early.Load() + l.unavailable.Load(); records < least {
		t.Errorf("%d calls were answered, %d have an outcome record", least, records)
	}
}
