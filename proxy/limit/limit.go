// Package limit bounds how many requests pass: per rule and caller, and for the
// upstream as a whole, shared fairly among callers.
//
// Requests are let through or refused at once; none is held back.
package limit

import "time"

// maxBuckets bounds how many callers are told apart, in each rule and at the
// upstream. Callers beyond it share one bucket. Rules are many where callers are,
// too: all of them together tell allBuckets apart, yet each fewBuckets.
const (
	maxBuckets = 10_000
	allBuckets = 100_000
	fewBuckets = 100
)

// Limit is a token bucket: Rate requests a second in the long run, Burst at once.
type Limit struct {
	Rate  float64
	Burst int
}

// Refusal is which limit a request is beyond.
type Refusal struct {
	Rule  string // "" for the upstream's
	Limit Limit
	Wait  time.Duration // until it is worth asking again
}

// Limits hold all buckets. They are safe for concurrent use.
type Limits struct {
	upstream *share // nil: no limit
	rules    map[string]*perCaller
}

// New makes the buckets, all full. If upstream is nil the upstream has no limit;
// rules without a Limit have none.
func New(upstream *Limit, rules map[string]Limit) *Limits {
	l := &Limits{rules: make(map[string]*perCaller, len(rules))}
	if upstream != nil {
		l.upstream = newShare(*upstream)
	}
	most := min(maxBuckets, max(fewBuckets, allBuckets/max(1, len(rules))))
	for name, limit := range rules {
		l.rules[name] = &perCaller{limit: limit, most: most, buckets: make(map[string]*bucket)}
	}
	return l
}

// Take takes one request of caller under rule out of the rule's bucket and the
// upstream's, and reports true; or out of neither, and says why not.
//
// The time counts forward only: one before the latest is taken for the latest.
func (l *Limits) Take(rule, caller string, now time.Time) (Refusal, bool) {
	p := l.rules[rule]
	if p == nil {
		return l.takeUpstream(caller, now)
	}
	b := p.lock(caller, now)
	defer b.mu.Unlock()
	now = b.forward(now)
	if wait := b.wait(p.limit, now); wait > 0 {
		return Refusal{rule, p.limit, wait}, false
	}
	no, ok := l.takeUpstream(caller, now)
	if ok {
		b.limiter.AllowN(now, 1) // after the upstream's, so that there is nothing to give back
	}
	return no, ok
}

func (l *Limits) takeUpstream(caller string, now time.Time) (Refusal, bool) {
	if l.upstream == nil {
		return Refusal{}, true
	}
	if wait := l.upstream.take(caller, now); wait > 0 {
		return Refusal{Limit: l.upstream.limit, Wait: wait}, false
	}
	return Refusal{}, true
}
