package limit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy/limit"
)

func TestAKnownCallerCostsNoMemory(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 1000, Burst: 10}, map[string]limit.Limit{"r": {Rate: 1000, Burst: 10}})
	now := at(0)
	l.Take("r", "a", now)
	if n := testing.AllocsPerRun(1000, func() { // passes and refusals of both kinds
		now = now.Add(300 * time.Microsecond)
		l.Take("r", "a", now)
		l.Take("", "a", now)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Callers whose bucket is full make room for others; those in use keep theirs.
func TestCallersWhoAreDoneMakeRoom(t *testing.T) {
	l := limit.New(nil, map[string]limit.Limit{"r": {Rate: 0.1, Burst: 2}})
	for i := range 10_000 {
		l.Take("r", fmt.Sprint("early ", i), at(0))
	}
	l.Take("r", "early 7", at(20*time.Second)) // leaves one of two
	passed := 0
	for i := range 9_000 {
		if _, ok := l.Take("r", fmt.Sprint("late ", i), at(21*time.Second)); ok {
			passed++
		}
	}
	if passed != 9_000 {
		t.Errorf("%d of 9000 pass", passed)
	}
	l.Take("r", "early 7", at(21*time.Second))
	if _, ok := l.Take("r", "early 7", at(21*time.Second)); ok {
		t.Error("a bucket that was not full is full again")
	}
}

func TestManyRulesTellFewerCallersApart(t *testing.T) {
	rules := make(map[string]limit.Limit)
	for i := range 2000 {
		rules[fmt.Sprint(i)] = limit.Limit{Rate: 0.001, Burst: 1}
	}
	l := limit.New(nil, rules)
	passed := 0
	for i := range 300 {
		if _, ok := l.Take("0", fmt.Sprint(i), at(0)); ok {
			passed++
		}
	}
	if passed != 101 {
		t.Errorf("%d callers pass, want 100 and one for all the others", passed)
	}
}

func TestUpstreamCallersBeyondTheBoundShareABucket(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 100_000, Burst: 100_000}, nil)
	for i := range 10_500 {
		if !pass(l, fmt.Sprint(i), at(time.Duration(i)*10*time.Microsecond)) {
			t.Fatalf("caller %d is refused below the rate", i)
		}
	}
}

// At a rate of nothing the burst passes, and the wait is one that can be told.
func TestNothingIsMadeAtARateOfZero(t *testing.T) {
	for _, l := range []*limit.Limits{
		limit.New(&limit.Limit{Burst: 2}, map[string]limit.Limit{"r": {Rate: 1, Burst: 9}}),
		limit.New(nil, map[string]limit.Limit{"r": {Burst: 2}}),
	} {
		l.Take("r", "a", at(0))
		l.Take("r", "a", at(0))
		if no, ok := l.Take("r", "a", at(24*time.Hour)); ok || no.Wait != time.Hour {
			t.Errorf("got %+v, %t", no, ok)
		}
	}
}

// Whoever waits as long as it is told finds a token, or is told less.
func TestTheWaitIsWorthIt(t *testing.T) {
	for _, most := range []limit.Limit{{Rate: 0.5, Burst: 1}, {Rate: 40, Burst: 40}, {Rate: 20, Burst: 3}} {
		l := limit.New(&most, nil)
		ask := [5]time.Duration{}
		passed := [5]int{}
		for range 5000 {
			i := 0
			for j := range ask {
				if ask[j] < ask[i] {
					i = j
				}
			}
			no, ok := l.Take("", fmt.Sprint(i), at(ask[i]))
			if ok {
				passed[i]++
				continue
			}
			if no.Wait <= 0 || no.Limit != most {
				t.Fatalf("%+v: got %+v", most, no)
			}
			ask[i] += no.Wait
		}
		for i, n := range passed {
			if want := most.Rate * ask[i].Seconds() / 5; float64(n) < 0.8*want {
				t.Errorf("%+v: caller %d passed %d times in %v, its share is %.0f", most, i, n, ask[i], want)
			}
		}
	}
}

// Buckets are dropped while others take from them.
func TestBucketsInUseAreNotLost(t *testing.T) {
	l := limit.New(&limit.Limit{Rate: 1e6, Burst: 1e6}, map[string]limit.Limit{"r": {Rate: 0.001, Burst: 1}})
	var all sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for g := range 4 {
		all.Go(func() {
			for i := range 4000 {
				now := at(time.Duration(i) * time.Millisecond)
				l.Take("r", fmt.Sprint(g, "/", i), now)
				if _, ok := l.Take("r", "one", now); ok {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if passed != 1 {
		t.Errorf("%d passed, want 1", passed)
	}
}
