// Package limit bounds how many requests pass: per rule and caller, and for the
// upstream as a whole, shared fairly among callers.
//
// Requests are let through or refused at once; none is held back.
package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds how many callers are told apart, in each rule and at the
// upstream. Callers beyond it share one bucket.
const maxBuckets = 10_000

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
	for name, limit := range rules {
		l.rules[name] = &perCaller{limit: limit, buckets: make(map[string]*bucket)}
	}
	return l
}

// Take takes one request of caller under rule out of the rule's bucket and the
// upstream's, and reports true; or out of neither, and says why not.
func (l *Limits) Take(rule, caller string, now time.Time) (Refusal, bool) {
	var own *rate.Reservation
	if p := l.rules[rule]; p != nil {
		var wait time.Duration
		if own, now, wait = p.bucket(caller).reserve(now); wait > 0 {
			return Refusal{rule, p.limit, wait}, false
		}
	}
	if l.upstream == nil {
		return Refusal{}, true
	}
	wait := l.upstream.take(caller, now)
	if wait == 0 {
		return Refusal{}, true
	}
	if own != nil {
		own.CancelAt(now)
	}
	return Refusal{Limit: l.upstream.limit, Wait: wait}, false
}

// perCaller has a bucket for each caller of one rule.
type perCaller struct {
	limit   Limit
	mu      sync.RWMutex
	buckets map[string]*bucket
}

// bucket is one caller's. The limiter takes a time before its last one for a
// step back, and would hand out that time again: callers read the clock before
// they get here, and not in order.
type bucket struct {
	mu      sync.Mutex
	last    time.Time
	limiter *rate.Limiter
}

// reserve takes a token, or says how long there is none. The time is the one
// that counted.
func (b *bucket) reserve(now time.Time) (*rate.Reservation, time.Time, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.last) {
		now = b.last
	}
	b.last = now
	r := b.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return r, now, wait
}

func (p *perCaller) bucket(caller string) *bucket {
	p.mu.RLock()
	b := p.buckets[caller]
	p.mu.RUnlock()
	if b != nil {
		return b
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.buckets) >= maxBuckets {
		caller = "" // no caller's name: those beyond the bound share it
	}
	if b = p.buckets[caller]; b == nil {
		b = &bucket{limiter: rate.NewLimiter(rate.Limit(p.limit.Rate), p.limit.Burst)}
		p.buckets[caller] = b
	}
	return b
}
