package limit

import (
	"sync"
	"time"
)

const (
	// idle is how long a caller keeps its share without asking, at least.
	idle = 10 * time.Second
	// pour is how often tokens are handed out, at most, and pourEach what each
	// caller adds once they are many: their distribution walks over all callers,
	// while nobody else can take.
	pour, pourEach = 2 * time.Millisecond, time.Microsecond
	// whole is a token, and dust what sums of parts may be off by.
	whole, dust = 1 - 1e-9, 1e-9
)

// share is one rate, shared among those who ask. Tokens come in at the rate and
// are handed out to the callers of late in equal parts, each into a bucket of
// its own; what does not fit in there flows on to the others, and at last into a
// pool from which everybody may borrow. So a caller that stays within its part
// always finds a token of its own, however much the others ask, and one that is
// alone has the whole rate.
//
// No token is made but by the rate: the bucket of a caller that is new is filled
// out of the pool, and what one that leaves has kept flows back. At any moment
// no more than Burst tokens are held.
//
// Where there are more callers than Burst, tokens are spread so thin that nobody
// keeps a whole one. Then whoever has no less than the average may take one, and
// is in debt for it.
type share struct {
	limit Limit

	mu      sync.Mutex
	callers map[string]*part
	pool    float64
	due     float64   // come in, and not handed out yet
	held    float64   // the pool, what is due and all buckets
	last    time.Time // up to when tokens have come in
	poured  time.Time // up to when they have been handed out
}

// part is one caller's.
type part struct {
	tokens float64 // below 0: in debt
	asked  time.Time
}

func newShare(limit Limit) *share {
	return &share{limit: limit, callers: make(map[string]*part), pool: float64(limit.Burst), held: float64(limit.Burst)}
}

// take takes one token for caller and returns 0, or returns how long to wait.
func (s *share) take(caller string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.come(now)
	p := s.part(caller, now)
	s.hand(now)
	n := float64(len(s.callers))
	own := p.tokens + s.due/n // what is due to it counts at once, or it would be refused for having asked between two pours
	switch {
	case s.held < whole:
		return s.wait(own)
	case own >= whole:
		p.tokens--
	case own >= 0 && own+s.pool >= whole: // its own part of a token first, the rest borrowed
		s.pool -= 1 - own
		p.tokens -= own
	case s.thin() && own >= s.held/n-dust:
		p.tokens--
	default:
		return s.wait(own)
	}
	s.held--
	return 0
}

// come lets in what the rate has made since the last time. It counts each moment
// once, and from a moment on: tokens that came in later than they were made
// would overfill a window that begins in between.
func (s *share) come(now time.Time) {
	if s.last.IsZero() {
		s.last, s.poured = now, now
	}
	since := now.Sub(s.last)
	if since <= 0 {
		return
	}
	s.last = now
	in := min(s.limit.Rate*since.Seconds(), float64(s.limit.Burst)-s.held)
	if in > 0 {
		s.due += in
		s.held += in
	}
}

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

// hand hands out what is due, and what the pool has, to those who have room.
func (s *share) hand(now time.Time) {
	if now.Sub(s.poured) < max(pour, time.Duration(len(s.callers))*pourEach) {
		return
	}
	s.poured = now
	s.pool += s.due
	s.due = 0
	s.collect(now)
	for s.pool > dust {
		left := s.fill(s.pool)
		if left == s.pool {
			return
		}
		s.pool = left
	}
}

// collect takes back what those who left have kept, and what others have beyond
// their room since there are more callers.
func (s *share) collect(now time.Time) {
	most, keep := s.room(), s.keep()
	for name, p := range s.callers {
		if p.tokens < most-dust {
			continue // who leaves before its bucket is full would leave debts, and come back to nothing
		}
		if now.Sub(p.asked) > keep {
			s.pool += p.tokens
			delete(s.callers, name)
			continue
		}
		s.pool += p.tokens - most
		p.tokens = most
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

// thin tells whether callers cannot keep a whole token each.
func (s *share) thin() bool { return len(s.callers) > s.limit.Burst }

// room is how many tokens a caller may keep: half of the burst in all, and a
// whole one at least; or if there are too few, its part of all. All rooms
// together are no more than Burst, so that none stays open for ever while
// tokens are lost.
func (s *share) room() float64 {
	n, burst := float64(len(s.callers)), float64(s.limit.Burst)
	if s.thin() {
		return burst / n
	}
	return max(1, burst/(2*n))
}

// keep is how long a caller that does not ask keeps its share: long enough for
// one that waited for its bucket to fill to find it.
func (s *share) keep() time.Duration {
	return max(idle, seconds(2*s.room()*float64(len(s.callers))/s.limit.Rate))
}

// wait is how long a caller with so many tokens waits for its turn.
func (s *share) wait(own float64) time.Duration {
	n, rate := float64(len(s.callers)), s.limit.Rate
	turn := (min(1, s.room()) - own) * n / rate
	return max(time.Millisecond, seconds(max(turn, (1-s.held)/rate)))
}

// seconds is a duration, and an hour at most: nothing is made at a rate of 0.
func seconds(s float64) time.Duration {
	if s < 3600 {
		return time.Duration(s * float64(time.Second))
	}
	return time.Hour // NaN and what no clock can hold, too
}
