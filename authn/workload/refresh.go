package workload

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// maxAge is how long keys serve after they were last confirmed. An issuer may
	// be out of reach for a day; for longer, nobody would notice that a key of it
	// was revoked.
	maxAge = 24 * time.Hour
	// lookEvery is how often the clock is looked at: a timer alone would sleep on
	// while the machine sleeps.
	lookEvery = time.Second

	firstPause = time.Second // after a fetch that failed
	maxPause   = time.Minute
)

// state is what is known of the keys; it is replaced whole and never changed.
type state struct {
	keys    *keySet
	fetched time.Time // when keys were confirmed last
	err     error     // of the last fetch
	failed  time.Time // when it was
}

// serves tells whether there are keys, and they are not too old.
func (s *state) serves(now time.Time) bool {
	return s.keys != nil && now.Sub(s.fetched) < maxAge
}

// wish asks for newer keys, without waiting for them.
func (i *Issuer) wish() {
	select {
	case i.wake <- struct{}{}:
	default: // somebody has wished already
	}
}

// Run fetches keys until ctx ends and then returns nil: at once, then every
// Every, and when a token selects a key that is not known, but no sooner than
// Pause after the fetch before. Failed ones are tried again after a second, and
// then ever later, up to a minute. The error is [ErrRunning] if it runs already.
func (i *Issuer) Run(ctx context.Context) error {
	if !i.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer i.running.Store(false)
	p := plan{every: i.every, pause: i.pause}
	for {
		if p.isDue(i.clock()) {
			p.began = i.clock()
			select {
			case <-i.wake: // fulfilled by this fetch
			default:
			}
			err := i.refresh(ctx)
			if ctx.Err() != nil {
				return nil
			}
			p.ended(i.clock(), err)
		}
		timer, wake := time.NewTimer(p.wait(i.clock())), i.wake
		if p.wished { // once is enough: whoever sends bad tokens is not to keep this busy
			wake = nil
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-wake:
			p.wished = true
		}
		if timer.Stop(); ctx.Err() != nil {
			return nil
		}
	}
}

// Fetch reads the keys once, as Run does. It is for checking a configuration.
func (i *Issuer) Fetch(ctx context.Context) error { return i.refresh(ctx) }

// refresh reads the keys once. What it cannot read leaves the old in use.
func (i *Issuer) refresh(ctx context.Context) error {
	before := i.state.Load()
	keys, err := i.source.read(ctx)
	if ctx.Err() != nil { // Run is ending: no failure of the issuer's
		return ctx.Err()
	}
	now := i.clock()
	if err != nil {
		i.state.Store(&state{keys: before.keys, fetched: before.fetched, err: err, failed: now})
		if before.err == nil || before.err.Error() != err.Error() {
			i.log.Error().Str("issuer", i.name).Err(err).Int("keys", before.keys.usable()).Msg("fetching the keys of an issuer failed; those known before serve on for at most a day")
		}
		return err
	}
	if keys.equal(before.keys) {
		keys = before.keys // what was proved by them holds on
	}
	i.state.Store(&state{keys: keys, fetched: now})
	i.tell(before, keys)
	return nil
}

// tell tells the operator of keys that are others than before, and of an issuer
// that is back.
func (i *Issuer) tell(before *state, keys *keySet) {
	if before.err == nil && keys == before.keys {
		return
	}
	line := i.log.Info()
	faults := keys.faults()
	if faults != "" {
		line = i.log.Warn().Str("unusable", faults)
	}
	line.Str("issuer", i.name).Int("keys", keys.usable()).Msg("keys of an issuer fetched")
}

// plan says when the next fetch is.
type plan struct {
	every, pause time.Duration
	began, due   time.Time // of the last fetch; of the next
	failures     int       // in a row
	wished       bool
}

// isDue tells whether to fetch now: at first, when it is time, when somebody
// wishes to, and when the clock was set back, for then it may not be time for years.
func (p *plan) isDue(now time.Time) bool {
	return p.began.IsZero() || now.Before(p.began) || !now.Before(p.next())
}

func (p *plan) next() time.Time {
	if soon := p.began.Add(p.pause); p.wished && soon.Before(p.due) {
		return soon
	}
	return p.due
}

// wait is how long nothing will be due.
func (p *plan) wait(now time.Time) time.Duration {
	return min(max(p.next().Sub(now), 0), lookEvery)
}

func (p *plan) ended(now time.Time, err error) {
	p.wished = false
	if err == nil {
		p.failures = 0
		p.due = now.Add(jitter(p.every))
		return
	}
	wait := maxPause
	if p.failures < 6 {
		wait = min(firstPause<<p.failures, maxPause)
	}
	p.failures++
	p.due = now.Add(jitter(min(wait, p.every)))
}

// jitter shortens d by up to a quarter, so that instances that began together
// do not ask together.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Float64()*float64(d)/4)
}
