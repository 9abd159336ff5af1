package ownuser_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/ownuser"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// pat is a service user whose token never changes.
type pat struct{ token serviceuser.Token }

func (p *pat) Name() string                       { return "pat" }
func (p *pat) UserID() string                     { return "" }
func (p *pat) Token() (*serviceuser.Token, error) { return &p.token, nil }
func (p *pat) Next(context.Context, *serviceuser.Token) (*serviceuser.Token, error) {
	return &p.token, nil
}

// server is what ZITADEL says at the moment.
type server struct{ says atomic.Pointer[says] }

// says is what is told from when it is set on.
type says struct {
	authorizations, sessions []string
	fails                    error // to list sessions
}

func newServer(first says) *server {
	s := new(server)
	s.says.Store(&first)
	return s
}

func (s *server) Me(context.Context, []string) (zitadel.User, error) {
	return zitadel.User{ID: "user", LoginNames: []string{"pat"}}, nil
}

func (s *server) Authorizations(context.Context, []string) ([]string, error) {
	return s.says.Load().authorizations, nil
}

func (s *server) Sessions(_ context.Context, _ []string, user string) ([]string, error) {
	if user != "user" {
		return nil, errors.New("another user's")
	}
	now := s.says.Load()
	return now.sessions, now.fails
}

// run follows the one service user, in the bubble's time.
func run(t *testing.T, s *server) *ownuser.Users {
	t.Helper()
	u := ownuser.New(s, zerolog.Nop(), nil, []ownuser.Source{&pat{}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return u
}

// after lets time go by, until all there is to do then is done.
func after(d time.Duration) { time.Sleep(d); synctest.Wait() }

func TestWhatOthersGiveAUserIsLearnedThoughItsTokenStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(says{authorizations: []string{"a"}, sessions: []string{"s"}})
		u := run(t, s)
		if k := u.Known(); !k.Complete || !k.Whole || !k.Sessions || !slices.Equal(k.IDs, []string{"a", "s", "user"}) {
			t.Fatalf("known at first: %+v", k)
		}
		s.says.Store(&says{authorizations: []string{"a", "b"}, sessions: []string{"t"}})
		after(4 * time.Minute)
		if k := u.Known(); !slices.Equal(k.IDs, []string{"a", "s", "user"}) {
			t.Errorf("asked again after four minutes: %+v", k)
		}
		after(2 * time.Minute)
		if k := u.Known(); !slices.Equal(k.IDs, []string{"a", "b", "t", "user"}) {
			t.Errorf("known after six minutes: %+v", k)
		}
	})
}

func TestWhatIsKnownStaysKnownWhileItCannotBeLearnedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(says{sessions: []string{"s"}, fails: errors.New("down")})
		u := run(t, s)
		if k := u.Known(); !k.Complete || !k.Whole || k.Sessions || !slices.Equal(k.IDs, []string{"user"}) {
			t.Fatalf("known while sessions cannot be listed: %+v", k)
		}
		s.says.Store(&says{sessions: []string{"s"}})
		after(time.Minute)
		if k := u.Known(); !k.Sessions || !slices.Equal(k.IDs, []string{"s", "user"}) {
			t.Fatalf("known once they can be: %+v", k)
		}
		s.says.Store(&says{fails: errors.New("down")})
		after(10 * time.Minute)
		if k := u.Known(); !k.Sessions || !slices.Equal(k.IDs, []string{"s", "user"}) {
			t.Errorf("known while they cannot be again: %+v", k)
		}
		s.says.Store(&says{sessions: []string{"t"}})
		after(time.Minute) // soon, not after five
		if k := u.Known(); !slices.Equal(k.IDs, []string{"t", "user"}) {
			t.Errorf("known at last: %+v", k)
		}
	})
}
