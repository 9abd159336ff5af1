package serviceuser

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// look is how often the credential file and the wall clock are looked at. A
// timer alone would sleep on while the machine sleeps.
const look = time.Second

// credentialNotice is how long before a key's end it is reported.
const credentialNotice = 30 * 24 * time.Hour

// loop is the state of one Run, known to its goroutine alone.
type loop struct {
	*Source
	due       time.Time // of the next fetch; zero when none is planned
	notBefore time.Time // as the server asked
	failures  int       // in a row
	refusals  int       // of tokens by the upstream, in a row
	obtained  time.Time // when the current or last token was
	fixed     bool      // fetching again can only bring the same token
	discarded *Token    // the last one dealt with
	seen      time.Time // the clock at the last step
}

// Run fetches tokens until ctx ends and then returns nil. The first fetch is at
// once, the next at about two thirds of each token's lifetime; failed ones are
// tried again after growing pauses, no earlier than the server's Retry-After
// asks. The error is [ErrRunning] when the source runs already.
func (s *Source) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	defer s.rest()
	l := &loop{Source: s, due: s.now(), discarded: s.state.Load().discarded}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(l.step(ctx))
	}
}

// step does what is due and returns how long nothing will be.
func (l *loop) step(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return look
	}
	l.watch()
	l.noteClock()
	l.noteDiscard()
	if now := l.now(); !l.due.IsZero() && !now.Before(l.due) {
		l.fetch(ctx, now)
	}
	if l.due.IsZero() {
		return look
	}
	return min(max(l.due.Sub(l.now()), 0), look)
}

// rest tells waiters that nobody fetches any more.
func (s *Source) rest() {
	s.update(func(st *state) {
		st.pending, st.next = false, time.Time{}
		if st.failure == nil {
			st.none = s.unavailable("its token source has been stopped", nil)
			st.ended = st.none
		}
	})
}

// noteClock fetches at once when the clock was set back: times planned by the
// clock as it stood before may be years away, and so may the token's end.
func (l *loop) noteClock() {
	now := l.now()
	if now.Before(l.seen.Add(-look)) && !l.fixed {
		l.notBefore = time.Time{}
		l.plan(now)
	}
	l.seen = now
}

// plan sets the time of the next fetch, no earlier than the server asked.
func (l *loop) plan(at time.Time) {
	if l.due = at; at.Before(l.notBefore) {
		l.due = l.notBefore
	}
}

func (l *loop) fetch(ctx context.Context, now time.Time) {
	l.update(func(st *state) { st.pending = true })
	i, err := l.request(ctx)
	switch {
	case err == nil:
		l.obtain(i, i.began)
	case ctx.Err() != nil: // Run is ending: no failure of the token endpoint
	default:
		l.fail(err)
	}
}

// obtain puts a token into use.
func (l *loop) obtain(i issued, now time.Time) {
	l.failures, l.obtained, l.fixed, l.notBefore = 0, now, i.fixed, time.Time{}
	until, lasts, next := int64(forever), time.Duration(forever), time.Time{}
	if !i.expiry.IsZero() {
		life := i.expiry.Sub(now)
		until = i.expiry.Add(-leeway(life)).UnixNano()
		lasts = i.elapsed + life - leeway(life)
		if next = now.Add(refreshAfter(life)); i.renew != 0 {
			next = now.Add(jitter(i.renew, 0.9, 1))
		}
	}
	l.due = next
	t := &Token{Authorization: []string{"Bearer " + i.value.reveal()}, Expiry: i.expiry}
	_, keyExpiry := l.minter.identity()
	l.update(func(st *state) {
		st.generation++
		t.Generation = st.generation
		st.token, st.until, st.lasts, st.pending = t, until, lasts, false
		st.failure, st.next, st.keyExpiry = nil, next, keyExpiry
		st.ended = l.unavailable("the last one has ended, the next one is being fetched", nil)
	})
	l.observe(Event{Kind: TokenObtained, ServiceUser: l.name, Time: l.now(), Generation: t.Generation, Expiry: i.expiry, Next: next, Skew: i.skew})
	if !keyExpiry.IsZero() && keyExpiry.Sub(now) < credentialNotice {
		l.observe(Event{Kind: CredentialExpiring, ServiceUser: l.name, Time: l.now(), Expiry: keyExpiry})
	}
}

// fail plans the next try; a token that is still valid goes on serving.
func (l *loop) fail(err error) {
	now := l.now()
	l.failures++
	var left time.Duration
	if st := l.state.Load(); st.token != nil {
		left = time.Unix(0, st.until).Sub(now)
	}
	reason, skew := err.Error(), time.Duration(0)
	if f, ok := errors.AsType[*FetchError](err); ok {
		reason, skew = f.Reason, f.Skew
		if f.RetryAfter > 0 {
			l.notBefore = now.Add(f.RetryAfter)
		}
	}
	l.plan(now.Add(failurePause(l.failures, left)))
	gone := l.unavailable(reason, err)
	l.update(func(st *state) {
		st.pending, st.failure, st.next = false, err, l.due
		st.none, st.ended = gone, gone
	})
	l.observe(Event{Kind: FetchFailed, ServiceUser: l.name, Time: now, Next: l.due, Skew: skew, Err: err})
}

// noteDiscard plans a fetch for a token that the upstream refused.
func (l *loop) noteDiscard() {
	st := l.state.Load()
	if st.discarded == nil || st.discarded == l.discarded {
		return
	}
	l.discarded = st.discarded
	now := l.now()
	if now.Sub(l.obtained) >= provenAge {
		l.refusals = 0
	}
	l.refusals++
	wait := time.Duration(0)
	if n := l.refusals; n > 1 || l.fixed {
		if !l.fixed {
			n--
		}
		wait = pause(n, firstDiscardPause, maxDiscardPause)
	}
	if st.token == nil {
		l.plan(now.Add(wait))
		at := l.due
		l.update(func(st *state) {
			st.next = at
			if st.token == nil && at.After(now) {
				st.pending = false
				st.none = l.unavailable("ZITADEL refused the last one (401); the credential may be removed, or its user locked", nil)
			}
		})
	}
	l.observe(Event{Kind: TokenDiscarded, ServiceUser: l.name, Time: now, Generation: l.discarded.Generation, Next: l.due})
}

// watch takes up a replaced credential file.
func (l *loop) watch() {
	if !l.file.changed() {
		return
	}
	content, err := l.file.read()
	if err != nil {
		l.refuseFile(err)
		return
	}
	sum := sha256.Sum256(content)
	if sum == l.file.sum {
		l.file.badText = ""
		return
	}
	m, err := l.credential.load(content, l.now())
	if err == nil {
		if id, _ := m.identity(); id != "" && id != l.userID {
			err = fmt.Errorf("reading credential file %q: it belongs to user %s instead of %s; reload the configuration to speak as another user", l.file.path, id, l.userID)
		}
	}
	if err != nil {
		l.refuseFile(err)
		return
	}
	l.minter, l.file.badText = m, ""
	l.use(sum)
	l.failures, l.refusals = 0, 0
	now := l.now()
	l.plan(now)
	l.observe(Event{Kind: CredentialChanged, ServiceUser: l.name, Time: now, Next: l.due})
}

// refuseFile reports a faulty file once for each fault.
func (l *loop) refuseFile(err error) {
	if l.file.badText == err.Error() {
		return
	}
	l.file.badText = err.Error()
	l.observe(Event{Kind: CredentialRefused, ServiceUser: l.name, Time: l.now(), Err: err})
}
