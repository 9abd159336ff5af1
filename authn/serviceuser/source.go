package serviceuser

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Source holds the current access token of one service user. Its methods may be
// called by any number of goroutines at once.
type Source struct {
	name       string
	credential Credential
	endpoint   *endpoint
	clock      func() time.Time
	made       time.Time // with its monotonic reading
	observe    func(Event)

	minter minter // owned by the loop
	file   watched
	userID string

	inUse   atomic.Pointer[[sha256.Size]byte] // of the credential file's content
	running atomic.Bool
	wake    chan struct{} // holds one: wakes the loop after a discard

	mu    sync.Mutex // held to replace state, never to read it
	state atomic.Pointer[state]
}

// state is what is known at one moment. It is replaced as a whole, never
// changed, so that reading it needs no lock.
type state struct {
	token *Token
	until int64 // Unix nanoseconds from which token counts as ended
	// lasts is the same by the time since the source was made, which goes on
	// evenly when the wall clock is set back.
	lasts      time.Duration
	generation uint64

	none  *UnavailableError // answer while there is no token
	ended *UnavailableError // answer once the token has ended
	// pending is true while a fetch runs or is about to: waiting is worth it.
	pending   bool
	discarded *Token
	failure   error
	next      time.Time
	keyExpiry time.Time
	changed   chan struct{} // closed when the state is replaced
}

// forever stands in state.until for tokens that do not say when they end.
const forever = math.MaxInt64

// Format prints the name.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.text()) }

// MarshalText is the text that Format prints.
func (s *Source) MarshalText() ([]byte, error) { return []byte(s.text()), nil }

func (s *Source) text() string {
	if s == nil {
		return "[no service user]"
	}
	return fmt.Sprintf("[service user %q]", s.name)
}

// New reads the credential's file and returns a source that has no token yet:
// run [Source.Run] to fetch them. A file that cannot be read or used is an
// error; that ZITADEL cannot be reached is not, because it may come later.
func New(cfg Config, credential Credential) (*Source, error) {
	s := &Source{name: cfg.Name, credential: credential, clock: cfg.Clock, observe: cfg.Observe, made: time.Now(), wake: make(chan struct{}, 1)}
	if err := s.build(cfg); err != nil {
		return nil, fmt.Errorf("setting up service user %q: %w", cfg.Name, err)
	}
	return s, nil
}

func (s *Source) build(cfg Config) error {
	if s.name == "" {
		return errors.New("it has no name")
	}
	if err := s.credential.check(); err != nil {
		return err
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.observe == nil {
		s.observe = func(Event) {}
	}
	if cfg.Issuer != nil || s.credential.fetches() {
		e, err := newEndpoint(cfg.Issuer, cfg.Address, cfg.Transport, s.now)
		if err != nil {
			return err
		}
		s.endpoint = e
	}
	s.file.path = s.credential.file
	content, err := s.file.read()
	if err != nil {
		return err
	}
	if s.minter, err = s.credential.load(content, s.now()); err != nil {
		return err
	}
	s.use(sha256.Sum256(content))
	id, expiry := s.minter.identity()
	if s.userID = id; id == "" {
		s.userID = s.credential.userID
	}
	s.state.Store(&state{
		none:      s.soon("the first one is being fetched"),
		pending:   true,
		keyExpiry: expiry,
		changed:   make(chan struct{}),
	})
	return nil
}

// now is the wall clock: without its monotonic reading, time is compared and
// added to as the clock on the wall shows it.
func (s *Source) now() time.Time { return s.clock().Round(0) }

func (s *Source) unavailable(reason string, cause error) *UnavailableError {
	return &UnavailableError{ServiceUser: s.name, Reason: reason, cause: cause}
}

func (s *Source) soon(reason string) *UnavailableError {
	return &UnavailableError{ServiceUser: s.name, Reason: reason, Soon: true}
}

// usable returns the token of st if it has not ended.
func (s *Source) usable(st *state) *Token {
	if st.token == nil || st.until != forever && (s.clock().UnixNano() >= st.until || time.Since(s.made) >= st.lasts) {
		return nil
	}
	return st.token
}

// Token returns the current access token. It never waits, takes no lock and
// allocates nothing. Without a token, and from shortly before the token's
// expiry, the error is an [*UnavailableError] that says why the last fetch
// failed.
func (s *Source) Token() (*Token, error) {
	st := s.state.Load()
	if t := s.usable(st); t != nil {
		return t, nil
	}
	return nil, st.reason()
}

func (st *state) reason() *UnavailableError {
	if st.token != nil {
		return st.ended
	}
	return st.none
}

// Discard forgets the token, because the upstream answered 401 to it, and has
// the next one fetched. Only this very token is forgotten: calls for one that
// has been replaced since, and further calls for the same one, do nothing. The
// first fetch follows at once; when its token is refused soon after, too, each
// further one waits longer, up to 30 seconds.
func (s *Source) Discard(t *Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t == nil || s.state.Load().token != t {
		return
	}
	s.replace(func(st *state) {
		st.token, st.discarded, st.pending = nil, t, true
		st.none = s.soon("ZITADEL refused the last one (401), the next one is being fetched")
	})
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// replace stores a changed copy of the state. The caller holds mu.
func (s *Source) replace(change func(*state)) {
	old := s.state.Load()
	st := *old
	st.changed = make(chan struct{})
	change(&st)
	s.state.Store(&st)
	close(old.changed)
}

func (s *Source) update(change func(*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(change)
}

// Next waits for a token newer than after, which should have been discarded,
// or for any token if after is nil. It joins the fetch under way and returns
// the reason as an [*UnavailableError] once that fetch fails; between two tries
// it does not wait for the next. Before [Source.Run] has begun it waits for
// that. When ctx ends before, the error wraps ctx.Err.
func (s *Source) Next(ctx context.Context, after *Token) (*Token, error) {
	for {
		st := s.state.Load()
		t := s.usable(st)
		switch {
		case t != nil && (after == nil || t.Generation > after.Generation):
			return t, nil
		case t == nil && !st.pending:
			return nil, st.reason()
		}
		select {
		case <-st.changed:
		case <-ctx.Done():
			return nil, s.unavailable("the wait for a new one was called off", ctx.Err())
		}
	}
}

// UpToDate tells whether the credential in use is what its file holds now.
// While it is not, a source that is made anew may differ: it may be of another user.
func (s *Source) UpToDate() bool {
	now := watched{path: s.file.path}
	content, err := now.read()
	return err == nil && sha256.Sum256(content) == *s.inUse.Load()
}

// use notes which content of the file is in use.
func (s *Source) use(sum [sha256.Size]byte) {
	s.file.sum = sum
	s.inUse.Store(&sum)
}

// UserID is the id of the service user in ZITADEL: the key file's, or what
// [Credential.WithUserID] gave; "" when neither tells it. It never changes: a
// key file of another user does not replace one in use.
func (s *Source) UserID() string { return s.userID }

// SystemUser tells whether it is a user of the System API, which takes nobody else's token.
func (s *Source) SystemUser() bool { return s.credential.kind == "system_user" }

// Name is the service user's name in the configuration.
func (s *Source) Name() string { return s.name }
