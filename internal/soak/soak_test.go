package soak_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
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
	halfLoad  = 100
	smallLoad = 20
)

const soakFile = `version: 1
upstream: {issuer: "$ISSUER", address: "http://$ADDRESS"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: soak, private_key_jwt: {key_file: "$DIR/key.json"}}]
rules:
  - {name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/GetUserByID, zitadel.user.v2.UserService/ListUsers], as: soak}
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

// within tells whether h is at most 5 % above base. What is too small for a
// percentage may differ by one goroutine, one file, and half a MiB of heap.
func (h held) within(base held) bool {
	near := func(now, then, least uint64) bool { return now <= then+max(then/20, least) }
	return near(uint64(h.goroutines), uint64(base.goroutines), 1) && near(uint64(h.files), uint64(base.files), 1) && near(h.heap, base.heap, 512<<10)
}

// world is a gateway with all around it.
type world struct {
	*gateway.Gateway
	zitadel                      zitadel
	road                         *road
	load                         *load
	dir                          string
	rules                        atomic.Int64 // decides what the next reload reads
	reloads, restarts, rotations int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{zitadel: startZitadel(t), dir: t.TempDir()}
	var err error
	w.road, err = newRoad(strings.TrimPrefix(w.zitadel.Issuer, "http://"))
	check(t, err)
	t.Cleanup(w.road.down)
	check(t, w.putKey(0))
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
	text := strings.NewReplacer("$ISSUER", w.zitadel.Issuer, "$ADDRESS", w.road.address, "$DIR", w.dir, "$MORE", more).Replace(soakFile)
	return config.Parse("soak.yaml", []byte(text))
}

// putKey replaces the key file at once.
func (w *world) putKey(n int) error {
	next := filepath.Join(w.dir, "next.json")
	if err := os.WriteFile(next, w.zitadel.Keys[n%2], 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(w.dir, "key.json"))
}

// restart takes ZITADEL away for a second.
func (w *world) restart() error {
	w.load.disturbed.Store(time.Now().Add(time.Hour).UnixNano())
	defer func() { w.load.disturbed.Store(time.Now().Add(recovery).UnixNano()) }()
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
		if now.goroutines >= last.goroutines && now.heap+64<<10 >= last.heap {
			return last
		}
		last = now
	}
	return last
}

// disturb changes all that changes, until ctx ends.
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
		switch n % 3 {
		case 1:
			w.reloads++
			err = w.Reload()
		case 2:
			w.rotations++
			err = w.putKey(w.rotations)
		case 0:
			w.restarts++
			err = w.restart()
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
	w := newWorld(t)
	spell := func(for_ time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), for_)
		defer cancel()
		changed := make(chan error, 1)
		go func() { changed <- w.disturb(ctx, every) }()
		w.load.run(ctx, rate)
		check(t, <-changed)
	}
	spell(max(long/10, 4*every)) // everything has happened once, and made what it keeps
	w.until(t, "ready", w.Ready)
	base := w.settled(t)
	spell(long)
	w.until(t, "ready", w.Ready)
	end := w.settled(t)
	for deadline := time.Now().Add(30 * time.Second); !end.within(base) && time.Now().Before(deadline); {
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
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "duration\t%s\n", long)
	fmt.Fprintf(table, "calls answered\t%d\n", l.done.Load())
	fmt.Fprintf(table, "unavailable while ZITADEL restarted\t%d\n", l.unavailable.Load())
	fmt.Fprintf(table, "abandoned by their callers\t%d\n", l.abandoned.Load())
	fmt.Fprintf(table, "lawful calls failed\t%d\n", l.failures)
	fmt.Fprintf(table, "reloads, rotations, restarts\t%d, %d, %d\n", w.reloads, w.rotations, w.restarts)
	fmt.Fprintf(table, "goroutines\t%d, at the beginning %d\n", end.goroutines, base.goroutines)
	fmt.Fprintf(table, "open files\t%d, at the beginning %d\n", end.files, base.files)
	fmt.Fprintf(table, "heap\t%.1f MiB, at the beginning %.1f MiB\n", float64(end.heap)/(1<<20), float64(base.heap)/(1<<20))
	table.Flush()
	t.Logf("soaked:\n%s", text.String())
	if l.failures > 0 {
		t.Errorf("%d lawful calls failed, the first of them:\n%s", l.failures, strings.Join(l.failed, "\n"))
	}
	if l.done.Load() == 0 || l.abandoned.Load() == 0 || w.reloads == 0 || w.rotations == 0 || w.restarts == 0 {
		t.Error("something did not happen at all")
	}
	if most := int64(w.restarts) * int64(rate) * int64((time.Second + recovery).Seconds()); l.unavailable.Load() > most {
		t.Errorf("%d calls were unavailable, %d are the most that %d restarts explain", l.unavailable.Load(), most, w.restarts)
	}
}
