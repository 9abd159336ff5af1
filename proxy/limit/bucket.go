package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// sweep is how often full buckets are looked for, at most, when there is no
// place for another one.
const sweep = time.Second

// perCaller has a bucket for each caller of one rule.
type perCaller struct {
	limit   Limit
	most    int // callers told apart
	mu      sync.RWMutex
	buckets map[string]*bucket
	swept   time.Time
}

// bucket is one caller's. The limiter takes a time before its last one for a
// step back, and would hand out that time again: callers read the clock before
// they get here, and not in order.
type bucket struct {
	mu      sync.Mutex
	last    time.Time
	gone    bool // no longer in the map: what is taken here would not count
	limiter *rate.Limiter
}

// forward is now, or the latest time known. The bucket is locked.
func (b *bucket) forward(now time.Time) time.Time {
	if now.Before(b.last) {
		return b.last
	}
	b.last = now
	return now
}

// wait is how long there is no token, 0 if there is one. The bucket is locked.
func (b *bucket) wait(limit Limit, now time.Time) time.Duration {
	missing := 1 - b.limiter.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return max(time.Millisecond, seconds(missing/limit.Rate))
}

// lock returns the caller's bucket, locked.
func (p *perCaller) lock(caller string, now time.Time) *bucket {
	for {
		b := p.bucket(caller, now)
		b.mu.Lock()
		if !b.gone {
			return b
		}
		b.mu.Unlock()
	}
}

func (p *perCaller) bucket(caller string, now time.Time) *bucket {
	p.mu.RLock()
	b := p.buckets[caller]
	p.mu.RUnlock()
	if b != nil {
		return b
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.buckets) >= p.most {
		p.dropFull(now)
	}
	if len(p.buckets) >= p.most && p.buckets[caller] == nil {
		caller = "" // no caller's name: those beyond the bound share it
	}
	if b = p.buckets[caller]; b == nil {
		b = &bucket{limiter: rate.NewLimiter(rate.Limit(p.limit.Rate), p.limit.Burst)}
		p.buckets[caller] = b
	}
	return b
}

// dropFull drops the buckets that are full: a new one would be just as full. It
// waits for no bucket: whoever has one locked is using it.
func (p *perCaller) dropFull(now time.Time) {
	if now.Sub(p.swept) < sweep {
		return
	}
	p.swept = now
	for name, b := range p.buckets {
		if !b.mu.TryLock() {
			continue
		}
		if b.limiter.TokensAt(b.forward(now)) >= float64(p.limit.Burst) {
			b.gone = true
			delete(p.buckets, name)
		}
		b.mu.Unlock()
	}
}
