package limit_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zproxy/zproxy/proxy/limit"
)

// Six callers ask once and leave while a seventh goes on asking.
func TestThoseWhoLeaveDoNotStarveWhoStays(t *testing.T) {
	for _, most := range []limit.Limit{{Rate: 0.5, Burst: 1}, {Rate: 5, Burst: 1}, {Rate: 50, Burst: 5}, {Rate: 50, Burst: 10}} {
		l := limit.New(&most, nil)
		for i := range 6 {
			pass(l, fmt.Sprint(i), at(0))
		}
		const seconds = 100
		passed, last := 0, time.Duration(0)
		for ms := 0; ms < seconds*1000; ms += 3 {
			now := time.Duration(ms) * time.Millisecond
			if pass(l, "stays", at(now)) {
				passed, last = passed+1, now
			}
		}
		if want := most.Rate * seconds; float64(passed) < 0.85*want-1 {
			t.Errorf("%+v: %d passed, the last after %v, want about %v", most, passed, last, want)
		}
	}
}

// With as many callers as there are whole tokens to keep, each keeps one.
func TestWithinItsShareNobodyIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "callers")
		burst := rapid.IntRange(n, 6*n).Draw(t, "burst")
		each := rapid.Float64Range(0.05, 50).Draw(t, "share")
		l := limit.New(&limit.Limit{Rate: each * float64(n), Burst: burst}, nil)
		own := time.Duration(math.Ceil(float64(time.Second)/each)) + time.Microsecond // between two requests of a caller within its share
		next := make([]time.Duration, n)
		for i := range next[1:] {
			next[i+1] = time.Duration(rapid.Int64Range(0, int64(own)).Draw(t, "phase"))
		}
		warm := 3 * own
		for range 600 {
			i := 0
			for j := range next {
				if next[j] < next[i] {
					i = j
				}
			}
			now := next[i]
			ok := pass(l, fmt.Sprint(i), at(now))
			if i == 0 {
				next[0] += own / 10
				continue
			}
			if !ok && now > warm {
				t.Fatalf("caller %d is refused at %v, asking every %v", i, now, own)
			}
			next[i] += own
		}
	})
}

// In any window no more than Burst and Rate pass, to the nanosecond.
func TestNoWindowIsOverfull(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 10_000, Burst: 100}, nil)
	pass(l, "a", at(0))
	var passed int
	for range 200 {
		if pass(l, "a", at(1_999*time.Microsecond)) {
			passed++
		}
	}
	for range 200 {
		if pass(l, "a", at(2_000*time.Microsecond)) {
			passed++
		}
	}
	if passed > 100 {
		t.Errorf("%d passed within a microsecond, burst 100", passed)
	}
}

// One that asks seldom, yet within its share, is not forgotten in between.
func TestASlowCallerIsRemembered(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 0.5, Burst: 10}, nil)
	refused := 0
	for s := range 2000 {
		for range 10 {
			pass(l, "greedy", at(time.Duration(s)*time.Second))
		}
		if s%12 == 0 && !pass(l, "slow", at(time.Duration(s)*time.Second+time.Millisecond)) && s > 30 {
			refused++
		}
	}
	if refused > 0 {
		t.Errorf("refused %d times", refused)
	}
}

// Tokens are handed out at intervals. Who asks in between has what is due to it.
func TestWhatIsDueCountsBeforeItIsHandedOut(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 20, Burst: 2}, nil)
	const own = 100*time.Millisecond + time.Microsecond
	next := time.Duration(0)
	for now := time.Duration(0); now < 20*time.Second; now += 700 * time.Microsecond {
		for next <= now {
			if !pass(l, "a", at(next)) && next > time.Second {
				t.Fatalf("refused at %v", next)
			}
			next += own
		}
		pass(l, "greedy", at(now))
	}
}

// A request with an earlier time may pass, and the time since is not counted twice.
func TestAPassAtAnEarlierTimeRefillsNothing(t *testing.T) {
	for _, l := range []*limit.Limits{
		limit.New(nil, map[string]limit.Limit{"r": {Rate: 10, Burst: 2}}),
		limit.New(&limit.Limit{Rate: 10, Burst: 2}, nil),
	} {
		for i, want := range []struct {
			at time.Duration
			ok bool
		}{{0, true}, {0, true}, {200 * time.Millisecond, true}, {0, true}, {200 * time.Millisecond, false}} {
			if _, ok := l.Take("r", "a", at(want.at)); ok != want.ok {
				t.Errorf("request %d: got %t", i, ok)
			}
		}
	}
}
