package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// Enroll sees to it that the key file has a key of a user which ZITADEL takes,
// asking for it with the authorization of somebody who may register keys of
// that user. A key that is there already is tried, never replaced. made tells
// whether a key was made, by this call or one before it that was cut off.
func (k *Keeper) Enroll(ctx context.Context, authorization []string, userID string) (key *serviceuser.KeyFile, made bool, err error) {
	held, err := take(k.target())
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, held.release()) }()
	j, err := readJournal(k.target())
	if err != nil {
		return nil, false, err
	}
	if key, err = readKey(k.File); err != nil {
		return nil, false, err
	}
	switch {
	case j != nil && j.UserID != userID:
		return nil, false, fmt.Errorf("going on with %s: it is about user %s and not %s; choose another key file, or remove the journal", journalOf(k.target()), j.UserID, userID)
	case key != nil && key.UserID != userID:
		return nil, false, fmt.Errorf("reading key file %q: it is of user %s and not %s; choose another key file", k.File, key.UserID, userID)
	case j == nil:
		j = &journal{UserID: userID}
	}
	w := &work{Keeper: k, journal: j, place: k.target(), authorization: authorization}
	if key == nil || j.Next != nil && j.Next.Replaces == "" && j.Next.KeyID == key.KeyID {
		if err := w.first(ctx); err != nil {
			return nil, false, err
		}
		key, err = k.current()
		return key, err == nil, err
	}
	w.current = key
	return key, false, w.kept(ctx)
}

// kept tries the key that is there, and clears away what a call before left.
func (w *work) kept(ctx context.Context) error {
	if _, err := w.as(ctx, w.current); err != nil {
		return fmt.Errorf("trying key %s of %q: %w", w.current.KeyID, w.File, err)
	}
	switch n := w.journal.Next; {
	case n == nil:
		return w.settle(ctx)
	case n.Replaces == "":
		return w.abandon(ctx)
	}
	return nil // a rotation is under way, which goes on by itself
}

// first takes the first key into the key file.
func (w *work) first(ctx context.Context) error {
	if w.journal.Next == nil {
		if err := w.prepare(ctx); err != nil {
			return err
		}
	}
	if err := w.complete(ctx); err != nil {
		return err
	}
	return w.settle(ctx)
}
