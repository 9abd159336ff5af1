package limit_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zproxy/zproxy/proxy/limit"
)

var start = time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

func pass(l *limit.Limits, caller string, now time.Time) bool {
	_, ok := l.Take("", caller, now)
	return ok
}

func TestRulesLimitEachCaller(t *testing.T) {
	l := limit.New(nil, map[string]limit.Limit{"r": {Rate: 1, Burst: 2}})
	for i := range 2 {
		if _, ok := l.Take("r", "a", at(0)); !ok {
			t.Fatalf("request %d of a is refused", i)
		}
	}
	if no, ok := l.Take("r", "a", at(0)); ok || no.Rule != "r" || no.Limit.Burst != 2 || no.Wait != time.Second {
		t.Errorf("got %+v, %t", no, ok)
	}
	if _, ok := l.Take("r", "b", at(0)); !ok {
		t.Error("another caller is refused")
	}
	if _, ok := l.Take("other", "a", at(0)); !ok {
		t.Error("another rule is refused")
	}
	if _, ok := l.Take("r", "a", at(time.Second)); !ok {
		t.Error("refused after the wait")
	}
}

func TestWhatTheUpstreamRefusesCostsTheRuleNothing(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 1, Burst: 1}, map[string]limit.Limit{"r": {Rate: 0.001, Burst: 2}})
	if _, ok := l.Take("r", "a", at(0)); !ok {
		t.Fatal("refused")
	}
	for range 10 {
		if no, ok := l.Take("r", "a", at(0)); ok || no.Rule != "" || no.Wait <= 0 {
			t.Fatalf("got %+v, %t", no, ok)
		}
	}
	if _, ok := l.Take("r", "a", at(1100*time.Millisecond)); !ok {
		t.Error("the rule's second token is gone")
	}
}

func TestALoneCallerHasTheWholeRate(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 45, Burst: 90}, nil)
	passed := 0
	for i := range 20_000 { // 20 s at 1000/s
		if pass(l, "a", at(time.Duration(i)*time.Millisecond)) {
			passed++
		}
	}
	if want := 90 + 45*20; math.Abs(float64(passed-want)) > 3 {
		t.Errorf("%d passed, want about %d", passed, want)
	}
}

func TestGreedyCallersShareEqually(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 50, Burst: 50}, nil)
	passed := map[string]int{}
	for i := range 60_000 {
		caller := fmt.Sprint(i % 5)
		if pass(l, caller, at(time.Duration(i)*time.Millisecond)) {
			passed[caller]++
		}
	}
	for caller, n := range passed {
		if math.Abs(float64(n)-600) > 30 {
			t.Errorf("caller %s passed %d times, want about 600", caller, n)
		}
	}
}

// One caller at ten times its share; the others stay within theirs.
func TestAGreedyCallerTakesNothingFromTheOthers(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 40, Burst: 40}, nil) // four callers: 10/s each
	refused := map[string]int{}
	for ms := range 60_000 {
		now := at(time.Duration(ms) * time.Millisecond)
		if ms%10 == 0 && !pass(l, "greedy", now) { // 100/s
			refused["greedy"]++
		}
		for i, caller := range []string{"a", "b", "c"} {
			if (ms+37*i)%110 == 0 && !pass(l, caller, now) && ms > 2000 { // 9/s
				refused[caller]++
			}
		}
	}
	if refused["a"]+refused["b"]+refused["c"] > 0 {
		t.Errorf("callers within their share are refused: %v", refused)
	}
	if refused["greedy"] < 60*60 {
		t.Errorf("the greedy caller is refused %d times of 6000 only", refused["greedy"])
	}
}

func TestWhatOthersLeaveMayBeTaken(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 40, Burst: 40}, nil)
	passed := 0
	for ms := range 60_000 {
		now := at(time.Duration(ms) * time.Millisecond)
		if ms%1000 == 0 {
			pass(l, "quiet", now)
		}
		if pass(l, "busy", now) {
			passed++
		}
	}
	if passed < 60*38 {
		t.Errorf("%d passed beside a caller that asks once a second, want about %d", passed, 60*39)
	}
}

// However callers come and go, and the clock steps back, no more than burst and
// rate pass in any window.
func TestNoMoreThanTheRatePasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := limit.Limit{Rate: rapid.Float64Range(0.2, 5000).Draw(t, "rate"), Burst: rapid.IntRange(1, 100).Draw(t, "burst")}
		l := limit.New(&most, nil)
		var passed []time.Duration
		now, latest := time.Duration(0), -time.Hour
		for range rapid.IntRange(1, 400).Draw(t, "requests") {
			now += time.Duration(rapid.IntRange(-500, 30_000).Draw(t, "pause")) * time.Microsecond
			if rapid.IntRange(0, 40).Draw(t, "silence") == 0 {
				now += 11 * time.Second // callers leave
			}
			latest = max(latest, now)
			caller := fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "caller"))
			for range rapid.IntRange(1, 30).Draw(t, "at once") {
				if pass(l, caller, at(now)) {
					passed = append(passed, latest)
				}
			}
		}
		for i := range passed {
			for j := i; j < len(passed); j++ {
				window := passed[j] - passed[i]
				if float64(j-i+1) > float64(most.Burst)+most.Rate*window.Seconds()+1e-6 {
					t.Fatalf("%d passed within %v, limit %+v", j-i+1, window, most)
				}
			}
		}
	})
}

// With small rates and many callers everybody gets a token in the end.
func TestNobodyStarves(t *testing.T) {
	for _, most := range []limit.Limit{{Rate: 0.5, Burst: 1}, {Rate: 5, Burst: 1}, {Rate: 5, Burst: 3}} {
		l := limit.New(&most, nil)
		passed := map[int]int{}
		for ms := 0; ms < 400_000; ms += 50 {
			caller := (ms / 50) % 7
			if pass(l, fmt.Sprint(caller), at(time.Duration(ms)*time.Millisecond)) {
				passed[caller]++
			}
		}
		total := 0
		for caller := range 7 {
			total += passed[caller]
			if passed[caller] < int(most.Rate*400/7/3) {
				t.Errorf("%+v: caller %d passed %d times: %v", most, caller, passed[caller], passed)
			}
		}
		if float64(total) < most.Rate*400*0.9 {
			t.Errorf("%+v: %d passed in all, want about %v", most, total, most.Rate*400)
		}
	}
}

func TestCallersBeyondTheBoundShareABucket(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 1e6, Burst: 1_000_000}, map[string]limit.Limit{"r": {Rate: 0.001, Burst: 1}})
	passed := 0
	for i := range 10_100 {
		if _, ok := l.Take("r", fmt.Sprint(i), at(0)); ok {
			passed++
		}
	}
	if passed != 10_001 {
		t.Errorf("%d callers pass, want 10,000 and one for all the others", passed)
	}
}

func TestLimitsMayBeTakenFromAtOnce(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 1, Burst: 100}, map[string]limit.Limit{"r": {Rate: 1, Burst: 1000}})
	var mu sync.Mutex
	var all sync.WaitGroup
	passed := 0
	for g := range 8 {
		all.Go(func() {
			for range 100 {
				if _, ok := l.Take("r", fmt.Sprint(g), at(0)); ok {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if passed != 100 {
		t.Errorf("%d passed, want 100", passed)
	}
}

func BenchmarkTake(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) {
			l := limit.New(&limit.Limit{Rate: 1e9, Burst: 1e6}, map[string]limit.Limit{"r": {Rate: 1e9, Burst: 1e6}})
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprint("unix:", i)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					l.Take("r", names[i%n], time.Now())
				}
			})
		})
	}
}

// Callers read the clock before they get to the bucket, and not in order.
func TestTimesOutOfOrderHandOutNothingTwice(t *testing.T) {
	l := limit.New(nil, map[string]limit.Limit{"r": {Rate: 10, Burst: 1}})
	passed := 0
	for i := range 1000 {
		now := at(0)
		if i%2 == 1 {
			now = at(100 * time.Millisecond)
		}
		if _, ok := l.Take("r", "a", now); ok {
			passed++
		}
	}
	if passed > 2 {
		t.Errorf("%d of 1000 pass within 100 ms", passed)
	}
}
