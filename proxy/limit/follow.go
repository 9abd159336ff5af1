package limit

import (
	"math"

	"golang.org/x/time/rate"
)

// Follow takes over what callers have used of before's limits. Limits that are
// the same are shared with it; of those that changed, what is used up stays used
// up, so that a new limit is no second burst. It must be called before
// [Limits.Take]; before may go on.
func (l *Limits) Follow(before *Limits) {
	for name, p := range l.rules {
		if old := before.rules[name]; old == nil {
			continue
		} else if old.limit == p.limit {
			l.rules[name] = old
		} else {
			p.follow(old)
		}
	}
	switch old := before.upstream; {
	case l.upstream == nil || old == nil:
	case old.limit == l.upstream.limit:
		l.upstream = old
	default:
		l.upstream.follow(old)
	}
}

// follow gives each caller a bucket from which as much is gone as from its old one.
func (p *perCaller) follow(old *perCaller) {
	old.mu.RLock()
	defer old.mu.RUnlock()
	for caller, b := range old.buckets {
		if len(p.buckets) >= p.most {
			return
		}
		b.mu.Lock()
		gone := float64(old.limit.Burst) - b.limiter.TokensAt(b.last)
		fresh := &bucket{last: b.last, limiter: rate.NewLimiter(rate.Limit(p.limit.Rate), p.limit.Burst)}
		b.mu.Unlock()
		fresh.limiter.AllowN(fresh.last, min(p.limit.Burst, int(math.Ceil(gone))))
		p.buckets[caller] = fresh
	}
}

// follow begins with what the old one holds.
func (s *share) follow(old *share) {
	old.mu.Lock()
	defer old.mu.Unlock()
	if old.last.IsZero() {
		return
	}
	s.pool = min(s.pool, old.held)
	s.held, s.last, s.poured = s.pool, old.last, old.last
}
