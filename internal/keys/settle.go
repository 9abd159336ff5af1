package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// retire notes that the next key is in its place, and when the one before it goes.
func (w *work) retire() error {
	n := w.journal.Next
	w.out.Rotated, w.out.Old, w.out.Expiry = n.KeyID, n.Replaces, n.Expiry
	w.journal.Next, w.journal.Last = nil, &n.mark
	w.journal.Replaced = slices.DeleteFunc(w.journal.Replaced, func(r replaced) bool { return r.KeyID == n.Replaces })
	if n.Replaces != "" {
		w.journal.Replaced = append(w.journal.Replaced, replaced{n.Replaces, w.now().Add(w.Plan.Grace).UTC()})
	}
	if err := w.journal.write(w.place); err != nil {
		return err
	}
	if err := w.reached(Retired); err != nil {
		return err
	}
	now, err := readKey(w.File)
	if err != nil || w.current == nil {
		return err
	}
	if now != nil && now.KeyID != w.current.KeyID {
		w.current, w.authorization = now, nil // from here on the new key asks
	}
	return nil
}

// settle removes replaced keys whose time has come, and then the journal. The
// key in the key file is never among them, whoever put it there.
func (w *work) settle(ctx context.Context) error {
	for _, r := range slices.Clone(w.journal.Replaced) {
		if w.now().Before(r.Remove) || w.current != nil && r.KeyID == w.current.KeyID {
			continue
		}
		if err := w.removeKey(ctx, r.KeyID); err != nil {
			return fmt.Errorf("removing replaced key %s: %w", r.KeyID, err)
		}
		if err := w.reached(Removed); err != nil {
			return err
		}
		w.journal.Replaced = slices.DeleteFunc(w.journal.Replaced, func(other replaced) bool { return other == r })
		if err := w.journal.write(w.place); err != nil {
			return err
		}
	}
	if w.journal.Last == nil || len(w.journal.Replaced) > 0 {
		return nil
	}
	return w.sweep(ctx)
}

// sweep removes twins of the last key: registrations of the same pair whose
// answers were lost, and which no list showed in time.
func (w *work) sweep(ctx context.Context) error {
	last := w.journal.Last
	content, err := read(w.place)
	if err != nil {
		return err
	}
	var file struct{ Key, KeyID string }
	if json.Unmarshal(content, &file) == nil && file.KeyID == last.KeyID {
		pair, err := parsePair(file.Key)
		if err != nil {
			return fmt.Errorf("reading key file %q: %w", w.place, err)
		}
		twins, err := w.twins(ctx, *last, pair)
		if err != nil {
			return err
		}
		for _, id := range twins {
			if id == last.KeyID {
				continue
			}
			if err := w.removeKey(ctx, id); err != nil {
				return fmt.Errorf("removing key %s, which is %s once more: %w", id, last.KeyID, err)
			}
		}
	}
	w.journal.Last = nil
	return w.journal.write(w.place)
}
