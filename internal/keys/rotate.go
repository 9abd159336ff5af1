package keys

import (
	"context"
	"fmt"
	"slices"

	"github.com/zproxy/zproxy/internal/zitadel"
)

// rotate goes on with a rotation that was begun, or begins one if it is due or forced.
func (w *work) rotate(ctx context.Context, forced bool) error {
	if n := w.journal.Next; n != nil {
		if w.current.KeyID != n.Replaces && w.current.KeyID != n.KeyID {
			return w.abandon(ctx)
		}
		return w.complete(ctx)
	}
	if !forced {
		if due, err := w.due(ctx); err != nil || !due {
			return err
		}
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	return w.complete(ctx)
}

// due tells whether the key in use is to be replaced. How old it is stands
// nowhere but in ZITADEL, which is asked once for each key.
func (w *work) due(ctx context.Context) (bool, error) {
	now, plan := w.now(), w.Plan
	if end := w.current.Expiry; plan.BeforeExpiry > 0 && !end.IsZero() && !now.Before(end.Add(-plan.BeforeExpiry)) {
		return true, nil
	}
	if plan.Every <= 0 {
		return false, nil
	}
	created, known := w.created[w.current.KeyID]
	if !known {
		all, err := w.list(ctx)
		if err != nil {
			return false, fmt.Errorf("finding out how old key %s is: %w", w.current.KeyID, err)
		}
		at := slices.IndexFunc(all, func(key zitadel.Key) bool { return key.ID == w.current.KeyID })
		if at < 0 { // lists run behind a little
			return false, nil
		}
		created = all[at].Created
		w.created[w.current.KeyID] = created
	}
	return !now.Before(created.Add(plan.Every)), nil
}

// complete takes the next key from wherever it is into the key file.
func (w *work) complete(ctx context.Context) error {
	n := w.journal.Next
	placed, err := readKey(w.place)
	if err != nil {
		return err
	}
	if n.KeyID == "" || placed == nil || placed.KeyID != n.KeyID {
		if err := w.fill(ctx); err != nil {
			return err
		}
	}
	return w.retire()
}

// fill registers the next key, proves it, and writes it to its place.
func (w *work) fill(ctx context.Context) error {
	n := w.journal.Next
	pair, err := parsePair(n.Key)
	if err != nil {
		return fmt.Errorf("reading %s: %w", journalOf(w.place), err)
	}
	if n.KeyID == "" {
		if err := w.register(ctx, pair); err != nil {
			return err
		}
	}
	if err := w.prove(ctx, pair, n.KeyID, n.Expiry); err != nil {
		return w.unproved(ctx, err)
	}
	if err := w.reached(Proved); err != nil {
		return err
	}
	content, err := pair.File(w.journal.UserID, n.KeyID, n.Expiry)
	if err != nil {
		return err
	}
	if err := w.unchanged(); err != nil {
		return err
	}
	if err := write(w.place, content); err != nil {
		return err
	}
	return w.reached(Swapped)
}

// unchanged makes sure that nobody else wrote the key file in the meantime: what
// an operator put there is not overwritten.
func (w *work) unchanged() error {
	now, err := readKey(w.File)
	if err != nil {
		return err
	}
	had, has := "", ""
	if w.current != nil {
		had = w.current.KeyID
	}
	if now != nil {
		has = now.KeyID
	}
	if had != has {
		return fmt.Errorf("replacing key file %q: somebody else replaced it just now; it is looked at again", w.File)
	}
	return nil
}

// unproved gives up a key that will never serve: one that has ended, or is gone
// from ZITADEL. Any other failure may pass.
func (w *work) unproved(ctx context.Context, cause error) error {
	n := w.journal.Next
	cause = fmt.Errorf("proving new key %s, while the old one stays in use: %w", n.KeyID, cause)
	all, err := w.list(ctx)
	if err != nil {
		return cause
	}
	listed := slices.ContainsFunc(all, func(key zitadel.Key) bool { return key.ID == n.KeyID })
	if listed && w.now().Before(n.Expiry) {
		return cause
	}
	if err := w.removeKey(ctx, n.KeyID); err != nil { // a list that runs behind says nothing
		return cause
	}
	w.journal.Next = nil
	if err := w.journal.write(w.place); err != nil {
		return err
	}
	return fmt.Errorf("%w; it has ended or is gone, and another is made at the next try", cause)
}

// abandon takes back a key that is to replace one which is no longer in the key
// file: somebody put another there.
func (w *work) abandon(ctx context.Context) error {
	n := w.journal.Next
	ids := []string{n.KeyID}
	if n.KeyID == "" {
		pair, err := parsePair(n.Key)
		if err != nil {
			return fmt.Errorf("reading %s: %w", journalOf(w.place), err)
		}
		if ids, err = w.twins(ctx, n.mark, pair); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := w.removeKey(ctx, id); err != nil {
			return err
		}
	}
	w.journal.Next = nil
	return w.journal.write(w.place)
}
