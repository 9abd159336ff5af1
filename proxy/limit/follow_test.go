package limit_test

import (
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy/limit"
)

// A reload is no second burst: neither where the limit stays nor where it changes.
func TestWhatIsUsedUpStaysUsedUp(t *testing.T) {
	first := limit.Limit{Rate: 1, Burst: 10}
	for _, c := range []struct {
		what string
		next limit.Limit
		want int // pass at once
	}{
		{"the same", first, 2},
		{"less", limit.Limit{Rate: 1, Burst: 9}, 1},
		{"more", limit.Limit{Rate: 5, Burst: 20}, 12},
		{"much less", limit.Limit{Rate: 1, Burst: 3}, 0},
	} {
		before := limit.New(nil, map[string]limit.Limit{"r": first})
		for range 8 {
			before.Take("r", "a", at(0))
		}
		after := limit.New(nil, map[string]limit.Limit{"r": c.next})
		after.Follow(before)
		passed := 0
		for range 30 {
			if _, ok := after.Take("r", "a", at(0)); ok {
				passed++
			}
		}
		if passed != c.want {
			t.Errorf("rule, %s: %d pass, want %d", c.what, passed, c.want)
		}
		if _, ok := after.Take("r", "b", at(0)); !ok {
			t.Errorf("rule, %s: who used nothing is refused", c.what)
		}
	}
}

func TestTheUpstreamSeesNoSecondBurst(t *testing.T) {
	first := limit.Limit{Rate: 1, Burst: 10}
	for _, next := range []limit.Limit{first, {Rate: 2, Burst: 10}, {Rate: 1, Burst: 40}} {
		before := limit.New(&first, nil)
		for range 8 {
			before.Take("", "a", at(0))
		}
		after := limit.New(&next, nil)
		after.Follow(before)
		passed := 0
		for range 50 {
			if _, ok := after.Take("", "a", at(0)); ok {
				passed++
			}
		}
		if passed != 2 {
			t.Errorf("%+v: %d pass, want the two that were left", next, passed)
		}
		if _, ok := after.Take("", "a", at(2*time.Second)); !ok {
			t.Errorf("%+v: nothing comes in any more", next)
		}
	}
}

// Two that are the same count together: requests of both go to one upstream.
func TestBothCountWhileRequestsOfBothAreUnderWay(t *testing.T) {
	most := limit.Limit{Rate: 1, Burst: 4}
	before := limit.New(&most, map[string]limit.Limit{"r": most})
	after := limit.New(&most, map[string]limit.Limit{"r": most, "new": most})
	after.Follow(before)
	passed := 0
	for range 5 {
		for _, l := range []*limit.Limits{before, after} {
			if _, ok := l.Take("r", "a", at(0)); ok {
				passed++
			}
		}
	}
	if passed != most.Burst {
		t.Errorf("%d pass, want %d", passed, most.Burst)
	}
	if _, ok := after.Take("new", "b", at(0)); ok {
		t.Error("the upstream's burst is used up, and a new rule passes")
	}
}
