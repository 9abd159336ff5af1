package limit

import (
	"math"
	"sync"
	"time"
)

const (
	// idle is how long a caller keeps its share without asking.
	idle = 10 * time.Second
	// pour is how often tokens are handed out, at most: their distribution walks
	// over all callers.
	pour = 2 * time.Millisecond
)

// share is one rate, shared among those who ask. Tokens come in at the rate and
// are handed out to the callers of late in equal parts, each into a bucket of
// its own; what does not fit in there flows on to the others, and at last into a
// pool from which everybody may borrow. So a caller that stays within its part
// always finds a token of its own, however much the others ask, and one that is
// alone has the whole rate.
//
// No token is made but by the rate: a caller that is new begins with an empty
// bucket and borrows, and what one that leaves has kept flows back. At any
// moment no more than Burst tokens are held.
//
// Where there are more than half as many callers as Burst, tokens would be
// spread so thin that nobody had a whole one. Then whoever has no less than the
// average may take one, and is in debt for it.
type share struct {
	limit Limit

	mu      sync.Mutex
	callers map[string]*part
	pool    float64
	held    float64   // the pool and all buckets
	poured  time.Time // up to when tokens have been handed out
}

// part is one caller's.
type part struct {
	tokens float64
	asked  time.Time
}

func newShare(limit Limit) *share {
	return &share{limit: limit, callers: make(map[string]*part), pool: float64(limit.Burst), held: float64(limit.Burst)}
}

// take takes one token for caller and returns 0, or returns how long to wait.
func (s *share) take(caller string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.part(caller, now)
	s.hand(now)
	const whole = 1 - 1e-9 // sums of parts are not exact
	switch {
	case s.held < whole:
		return s.wait(p)
	case p.tokens >= whole:
		p.tokens--
	case p.tokens >= 0 && p.tokens+s.pool >= whole: // its own part of a token first, the rest borrowed
		s.pool -= 1 - p.tokens
		p.tokens = 0
	case s.thin() && p.tokens >= s.held/float64(len(s.callers)):
		p.tokens--
	default:
		return s.wait(p)
	}
	s.held--
	return 0
}

// thin tells whether callers cannot keep a whole token each.
func (s *share) thin() bool { return 2*len(s.callers) > s.limit.Burst }

// part is the caller's, made when it asks for the first time.
func (s *share) part(caller string, now time.Time) *part {
	p := s.callers[caller]
	if p == nil {
		if len(s.callers) >= maxBuckets {
			caller = "" // no caller's name: those beyond the bound share it
			p = s.callers[caller]
		}
		if p == nil {
			p = new(part)
			s.callers[caller] = p
		}
	}
	if p.asked.Before(now) {
		p.asked = now
	}
	return p
}

// hand hands out what has come in since the last time.
func (s *share) hand(now time.Time) {
	if s.poured.IsZero() {
		s.poured = now
	}
	since := now.Sub(s.poured)
	if since < pour {
		return
	}
	s.poured = now
	for name, p := range s.callers {
		if now.Sub(p.asked) > idle {
			s.pool += p.tokens
			delete(s.callers, name)
		}
	}
	in := math.Min(s.limit.Rate*since.Seconds(), float64(s.limit.Burst)-s.held)
	s.held += max(in, 0)
	for in > 1e-9 {
		left := s.fill(in)
		if left == in {
			s.pool += left
			break
		}
		in = left
	}
}

// fill gives each bucket that is not full an equal part, and returns what did not fit.
func (s *share) fill(in float64) float64 {
	most := s.room()
	open := 0
	for _, p := range s.callers {
		if p.tokens < most {
			open++
		}
	}
	if open == 0 {
		return in
	}
	each, left := in/float64(open), 0.0
	for _, p := range s.callers {
		if p.tokens >= most {
			continue
		}
		p.tokens += each
		if p.tokens > most {
			left += p.tokens - most
			p.tokens = most
		}
	}
	return left
}

// room is how many tokens a caller may keep: half of the burst in all, and one at least.
func (s *share) room() float64 {
	return math.Max(1, float64(s.limit.Burst)/(2*float64(len(s.callers))))
}

// wait is how long p's part takes to become a whole token.
func (s *share) wait(p *part) time.Duration {
	each := s.limit.Rate / float64(len(s.callers))
	return max(time.Millisecond, time.Duration((1-p.tokens)/each*float64(time.Second)))
}
