package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// Registry is where ZITADEL keeps the public keys of users; see [zitadel.Client].
type Registry interface {
	AddKey(ctx context.Context, authorization []string, userID string, publicKey []byte, expiry time.Time) (string, error)
	Keys(ctx context.Context, authorization []string, userID string) ([]zitadel.Key, error)
	RemoveKey(ctx context.Context, authorization []string, userID, keyID string) error
}

// Plan says when keys are replaced, and what becomes of them.
type Plan struct {
	// Every is how old a key may become; 0 is no limit.
	Every time.Duration
	// BeforeExpiry is how long before its end a key is replaced; 0 is never.
	BeforeExpiry time.Duration
	// Lifetime is how long a new key is good for.
	Lifetime time.Duration
	// Grace is how long a replaced key stays in ZITADEL: as long as others may
	// take to read the key file again.
	Grace time.Duration
}

// Stage is a point between two steps, at which a process can end.
type Stage string

// The stages of a rotation, in their order.
const (
	Prepared   Stage = "prepared"
	Registered Stage = "registered"
	Noted      Stage = "noted"
	Proved     Stage = "proved"
	Swapped    Stage = "swapped"
	Retired    Stage = "retired"
	Removed    Stage = "removed"
)

// Keeper looks after one key file. One call at a time: [ErrBusy] tells of others.
type Keeper struct {
	// File is the key file. If Output is not empty, the new key is written to
	// that instead, and the journal stands beside it.
	File, Output string
	// Tokens is how tokens are asked for; its Name is the service user's.
	Tokens   serviceuser.Config
	Registry Registry
	Plan     Plan
	// Clock tells when keys are due. If nil, time.Now.
	Clock func() time.Time
	// Generate makes key pairs. If nil, [Generate].
	Generate func() (Pair, error)
	// At is told each stage that is reached; an error of it ends the step there,
	// with nothing undone, as the end of the process would. If nil, nobody is told.
	At func(Stage) error

	created map[string]time.Time // of keys, by id
}

// Outcome is what a step did.
type Outcome struct {
	// Rotated is the new key's id, Old that of the key it replaced, Expiry its end.
	Rotated, Old string
	Expiry       time.Time
	// Removed are keys that are gone from ZITADEL now.
	Removed []string
}

func (k *Keeper) now() time.Time {
	if k.Clock == nil {
		return time.Now()
	}
	return k.Clock()
}

func (k *Keeper) reached(s Stage) error {
	if k.At == nil {
		return nil
	}
	return k.At(s)
}

// target is the file that a new key is written to.
func (k *Keeper) target() string {
	if k.Output != "" {
		return real(k.Output)
	}
	return real(k.File)
}

// current is the key in the key file.
func (k *Keeper) current() (*serviceuser.KeyFile, error) {
	key, err := readKey(k.File)
	if key == nil && err == nil {
		err = fmt.Errorf("reading key file %q: there is none; zproxy bootstrap makes one", k.File)
	}
	return key, err
}

// as returns the header value of a token that was just issued for key.
func (k *Keeper) as(ctx context.Context, key *serviceuser.KeyFile) ([]string, error) {
	token, err := serviceuser.Fetch(ctx, k.Tokens, key)
	if err != nil {
		return nil, err
	}
	return token.Authorization, nil
}

// Step does what is due: it goes on with what was begun, replaces the key if it
// is old enough, or at any age if forced, and removes what is to be removed. A
// step that fails leaves the key in use as it was, and is tried again by the next.
func (k *Keeper) Step(ctx context.Context, forced bool) (out Outcome, err error) {
	held, err := take(k.target())
	if err != nil {
		return Outcome{}, err
	}
	defer func() { err = errors.Join(err, held.release()) }()
	j, err := readJournal(k.target())
	if err != nil {
		return Outcome{}, err
	}
	current, err := k.current()
	if err != nil {
		return Outcome{}, err
	}
	if j != nil && j.UserID != current.UserID {
		return Outcome{}, fmt.Errorf("going on with %s: it is about user %s, and the key file is of user %s; put the right key file there, or remove the journal",
			journalOf(k.target()), j.UserID, current.UserID)
	}
	if j == nil {
		j = &journal{UserID: current.UserID}
	}
	if k.created == nil {
		k.created = make(map[string]time.Time)
	}
	w := &work{Keeper: k, current: current, journal: j, place: k.target()}
	if err := w.rotate(ctx, forced); err != nil {
		return w.out, err
	}
	return w.out, w.settle(ctx)
}
