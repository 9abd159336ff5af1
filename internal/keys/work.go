package keys

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// work is one step under the lease.
type work struct {
	*Keeper
	current *serviceuser.KeyFile // nil while there is none
	journal *journal
	place   string // of the key file that is written
	// authorization is how ZITADEL is asked about the user's keys; nil until it is needed.
	authorization []string
	out           Outcome
}

// ask is the header value for calls about keys. Without another it is of a
// token of the key in use.
func (w *work) ask(ctx context.Context) ([]string, error) {
	if w.authorization == nil {
		authorization, err := w.as(ctx, w.current)
		if err != nil {
			return nil, err
		}
		w.authorization = authorization
	}
	return w.authorization, nil
}

func (w *work) list(ctx context.Context) ([]zitadel.Key, error) {
	authorization, err := w.ask(ctx)
	if err != nil {
		return nil, err
	}
	return w.Registry.Keys(ctx, authorization, w.journal.UserID)
}

func (w *work) removeKey(ctx context.Context, id string) error {
	authorization, err := w.ask(ctx)
	if err != nil {
		return err
	}
	if err := w.Registry.RemoveKey(ctx, authorization, w.journal.UserID, id); err != nil {
		return err
	}
	w.out.Removed = append(w.out.Removed, id)
	return nil
}

// prepare makes a pair and writes down all by which its key will be known again.
func (w *work) prepare(ctx context.Context) error {
	all, err := w.list(ctx)
	if err != nil {
		return err
	}
	expiry, err := oddExpiry(w.now().Add(w.Plan.Lifetime))
	if err != nil {
		return err
	}
	generate := w.Generate
	if generate == nil {
		generate = Generate
	}
	pair, err := generate()
	if err != nil {
		return err
	}
	n := &next{mark: mark{Expiry: expiry, Before: []string{}}, Key: pair.PrivatePEM()}
	if w.current != nil {
		n.Replaces = w.current.KeyID
	}
	for _, key := range all {
		n.Before = append(n.Before, key.ID)
	}
	w.journal.Next = n
	if err := w.journal.write(w.place); err != nil {
		return err
	}
	return w.reached(Prepared)
}

// oddExpiry is up to a minute before at, by a random number of microseconds,
// which is what ZITADEL keeps.
func oddExpiry(at time.Time) (time.Time, error) {
	odd, err := rand.Int(rand.Reader, big.NewInt(time.Minute.Microseconds()))
	if err != nil {
		return time.Time{}, fmt.Errorf("choosing when a key ends: %w", err)
	}
	return at.Truncate(time.Microsecond).Add(-time.Duration(odd.Int64()) * time.Microsecond).UTC(), nil
}

// register has ZITADEL know the next key, once: whether an attempt before, whose
// answer was lost, came through is found out first.
func (w *work) register(ctx context.Context, pair Pair) error {
	n := w.journal.Next
	twins, err := w.twins(ctx, n.mark, pair)
	if err != nil {
		return err
	}
	if len(twins) > 0 {
		n.KeyID = twins[0]
	} else if n.KeyID, err = w.add(ctx, pair); err != nil {
		return err
	}
	if err := w.reached(Registered); err != nil {
		return err
	}
	if err := w.journal.write(w.place); err != nil {
		return err
	}
	return w.reached(Noted)
}

func (w *work) add(ctx context.Context, pair Pair) (string, error) {
	public, err := pair.PublicPEM()
	if err != nil {
		return "", err
	}
	authorization, err := w.ask(ctx)
	if err != nil {
		return "", err
	}
	return w.Registry.AddKey(ctx, authorization, w.journal.UserID, public, w.journal.Next.Expiry)
}

// twins are the keys in ZITADEL that are of this very pair: those that fit the
// mark, and for which a token was issued with the pair's private half.
func (w *work) twins(ctx context.Context, m mark, pair Pair) ([]string, error) {
	all, err := w.list(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, key := range all {
		if !m.fits(key.ID, key.Expiry) {
			continue
		}
		if err := w.prove(ctx, pair, key.ID, m.Expiry); err != nil {
			return nil, fmt.Errorf("finding out whether key %s is the one that was made here: %w", key.ID, err)
		}
		ids = append(ids, key.ID)
	}
	slices.Sort(ids)
	return ids, nil
}

// prove has ZITADEL issue a token for an assertion of the pair.
func (w *work) prove(ctx context.Context, pair Pair, keyID string, expiry time.Time) error {
	content, err := pair.File(w.journal.UserID, keyID, expiry)
	if err != nil {
		return err
	}
	key, err := serviceuser.ParseKeyFile(content)
	if err != nil {
		return err
	}
	_, err = w.as(ctx, key)
	return err
}
