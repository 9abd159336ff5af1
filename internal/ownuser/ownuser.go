// Package ownuser knows which ZITADEL users zproxy speaks as, so that requests
// aimed at them can be refused.
//
// A key file names its user. Whose a client secret or a personal access token is
// has to be learned from ZITADEL: with the first token, and with every one that
// replaces it. Until then not all users are known, and [Users.Known] says so. What
// others can give these users is learned too, and again every few minutes: their
// authorizations and their sessions.
package ownuser

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/zitadel"
)

const (
	// every is how often it is looked whether a token was replaced, and how soon
	// a failed question is asked again at first.
	every = time.Second
	// relearn is how old what a user owns may get: others can give it more.
	relearn = 5 * time.Minute
	// slowest is how rarely a question that keeps failing is asked.
	slowest = 30 * time.Second
)

// Source is the tokens of one service user; see [serviceuser.Source].
type Source interface {
	Name() string
	// UserID is the user's id, if the credential's file or the configuration names it.
	UserID() string
	Token() (*serviceuser.Token, error)
	Next(ctx context.Context, after *serviceuser.Token) (*serviceuser.Token, error)
}

// Asker asks ZITADEL with a token; see [zitadel.Client].
type Asker interface {
	Me(ctx context.Context, authorization []string) (zitadel.User, error)
	Authorizations(ctx context.Context, authorization []string) ([]string, error)
	Sessions(ctx context.Context, authorization []string, userID string) ([]string, error)
}

// Known is what is known of all service users.
type Known struct {
	// IDs are user ids, and the ids of what is theirs and can be changed by its id alone.
	IDs []string
	// LoginNames are the names under which they could sign in.
	LoginNames []string
	// Complete tells that no user id is missing, Whole that no login name and no
	// authorization is either, Sessions that no user id and no session is.
	Complete, Whole, Sessions bool
}

// Users keeps track of service users. It is safe for concurrent use.
type Users struct {
	ask     Asker
	log     zerolog.Logger
	tracked []tracked
	mu      sync.Mutex // of those who replace now
	now     atomic.Pointer[snapshot]
}

// tracked is one service user.
type tracked struct {
	Source
	replaceable bool // another token may be of another user
}

// snapshot is what is known at one moment: learned has an entry, or nil, for each tracked.
type snapshot struct {
	Known
	learned []*learned
}

// learned is whose a token is, and what is that user's.
type learned struct {
	token                    *serviceuser.Token
	user                     zitadel.User
	authorizations, sessions owned
	at                       time.Time // when all of it was; zero: something is to be asked again
}

// owned is what is a user's and can be changed by its id alone.
type owned struct {
	ids   []string
	known bool
}

// refreshed is o, or what was known before of the same user where o could not be learned.
func (o owned) refreshed(before owned) owned {
	if o.known {
		return o
	}
	return before
}

// New keeps track of sources. Those in replaceable may change their user with
// their token: a personal access token that is replaced may be of anybody.
func New(ask Asker, log zerolog.Logger, sources, replaceable []Source) *Users {
	u := &Users{ask: ask, log: log}
	for _, s := range sources {
		u.tracked = append(u.tracked, tracked{Source: s})
	}
	for _, s := range replaceable {
		u.tracked = append(u.tracked, tracked{s, true})
	}
	u.now.Store(u.sum(make([]*learned, len(u.tracked))))
	return u
}

// Inherit takes over what before has learned of the sources that both track. It
// must be called before [Users.Run].
func (u *Users) Inherit(before *Users) {
	u.mu.Lock()
	defer u.mu.Unlock()
	all, known := slices.Clone(u.now.Load().learned), before.now.Load().learned
	for i, t := range u.tracked {
		if at := slices.IndexFunc(before.tracked, func(o tracked) bool { return o.Source == t.Source }); at >= 0 {
			all[i] = known[at]
		}
	}
	u.now.Store(u.sum(all))
}

// Known is what is known now. It takes no lock and allocates nothing.
func (u *Users) Known() Known {
	now := u.now.Load()
	known := now.Known
	for i, t := range u.tracked {
		l := now.learned[i]
		known.Complete = known.Complete && t.isKnown(l)
		known.Whole = known.Whole && l != nil && l.authorizations.known && t.isKnown(l)
		known.Sessions = known.Sessions && l != nil && l.sessions.known && t.isKnown(l)
	}
	return known
}

// isKnown tells whether the user of the token in use is known.
func (t tracked) isKnown(l *learned) bool {
	switch {
	case t.UserID() != "":
		return true
	case l == nil, !t.replaceable:
		return l != nil
	}
	token, err := t.Token()
	return err != nil || token == l.token // without a token nobody can be harmed
}

// Run learns until ctx ends.
func (u *Users) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for i := range u.tracked {
		running.Go(func() { u.follow(ctx, i) })
	}
	running.Wait()
	return nil
}

// follow asks whose the token of one service user is, again whenever it is
// another, and now and then what is that user's.
func (u *Users) follow(ctx context.Context, at int) {
	t, wait := u.tracked[at], every
	for ctx.Err() == nil {
		token, err := t.Token()
		if err != nil { // its source tells of that; the next token may come at once
			token, err = t.Next(ctx, nil)
		}
		l := u.now.Load().learned[at]
		switch {
		case err != nil:
		case l != nil && l.token == token && time.Since(l.at) < relearn:
			wait = every
		default:
			wait = u.learn(ctx, at, token, wait)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// learn asks ZITADEL, and returns how long to wait before it is asked again.
func (u *Users) learn(ctx context.Context, at int, token *serviceuser.Token, wait time.Duration) time.Duration {
	name := u.tracked[at].Name()
	user, err := u.ask.Me(ctx, token.Authorization)
	if err != nil {
		if ctx.Err() == nil {
			u.log.Warn().Str("service_user", name).Err(err).Msg("learning whose token it is failed; unless user_id tells, requests that change users are refused until it is known")
		}
		return min(2*wait, slowest)
	}
	l := &learned{token: token, user: user, at: time.Now()}
	for _, o := range [...]struct {
		what string
		into *owned
		ask  func() ([]string, error)
	}{
		{"authorizations", &l.authorizations, func() ([]string, error) { return u.ask.Authorizations(ctx, token.Authorization) }},
		{"sessions", &l.sessions, func() ([]string, error) { return u.ask.Sessions(ctx, token.Authorization, user.ID) }},
	} {
		ids, err := o.ask()
		if err == nil {
			*o.into = owned{ids, true}
			continue
		}
		l.at = time.Time{}
		if ctx.Err() == nil {
			u.log.Warn().Str("service_user", name).Err(err).Msg("learning its " + o.what + " failed; requests that could change them are refused until they are known")
		}
	}
	u.took(at, l)
	if l.at.IsZero() {
		return min(2*wait, slowest)
	}
	return every
}

// took replaces what is known of one service user. What is known and cannot be
// learned anew just now is kept.
func (u *Users) took(at int, l *learned) {
	if id := u.tracked[at].UserID(); id != "" && id != l.user.ID {
		u.log.Error().Str("service_user", u.tracked[at].Name()).Str("user_id", id).Str("is", l.user.ID).
			Msg("the token is of another user than user_id says; both are out of reach, and user_id needs correcting")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	all := slices.Clone(u.now.Load().learned)
	if before := all[at]; before != nil && before.user.ID == l.user.ID {
		l.authorizations = l.authorizations.refreshed(before.authorizations)
		l.sessions = l.sessions.refreshed(before.sessions)
	}
	all[at] = l
	u.now.Store(u.sum(all))
}

// sum is the snapshot of what was learned.
func (u *Users) sum(all []*learned) *snapshot {
	s := &snapshot{Known: Known{Complete: true, Whole: true, Sessions: true}, learned: all}
	for i, t := range u.tracked {
		s.IDs = append(s.IDs, t.UserID())
		if l := all[i]; l != nil {
			s.IDs = slices.Concat(s.IDs, []string{l.user.ID}, l.authorizations.ids, l.sessions.ids)
			s.LoginNames = append(s.LoginNames, l.user.LoginNames...)
		}
	}
	s.IDs, s.LoginNames = distinct(s.IDs), distinct(s.LoginNames)
	return s
}

func distinct(all []string) []string {
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}
