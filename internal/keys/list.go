package keys

import (
	"context"
	"slices"
	"time"
)

// State is what a key in ZITADEL is to zproxy.
type State string

// The states of keys.
const (
	InUse    State = "in use"     // the key file holds it
	Coming   State = "to be used" // it is about to replace the one in use
	Replaced State = "replaced"   // it is to be removed
	Unknown  State = "unknown"    // nothing here tells of it
)

// Listed is one of a user's keys in ZITADEL.
type Listed struct {
	ID              string
	Created, Expiry time.Time
	State           State
	// Remove is from when on a replaced key is removed.
	Remove time.Time
}

// List tells of all keys of the user, in the order of their making.
func (k *Keeper) List(ctx context.Context) ([]Listed, error) {
	current, err := k.current()
	if err != nil {
		return nil, err
	}
	j, err := readJournal(k.target())
	if err != nil {
		return nil, err
	}
	authorization, err := k.as(ctx, current)
	if err != nil {
		return nil, err
	}
	all, err := k.Registry.Keys(ctx, authorization, current.UserID)
	if err != nil {
		return nil, err
	}
	listed := make([]Listed, len(all))
	for i, key := range all {
		listed[i] = Listed{ID: key.ID, Created: key.Created, Expiry: key.Expiry, State: Unknown}
		listed[i].judge(current.KeyID, j)
	}
	slices.SortFunc(listed, func(a, b Listed) int { return a.Created.Compare(b.Created) })
	return listed, nil
}

// judge finds out what a key is from the key file and the journal.
func (l *Listed) judge(inUse string, j *journal) {
	if j != nil {
		for _, r := range j.Replaced {
			if r.KeyID == l.ID {
				l.State, l.Remove = Replaced, r.Remove
			}
		}
		if n := j.Next; n != nil && (n.KeyID == l.ID || n.KeyID == "" && n.fits(l.ID, l.Expiry)) {
			l.State = Coming
		}
	}
	if l.ID == inUse {
		l.State = InUse
	}
}

// Remove ends a key of the user, whoever made it: on an operator's word only.
// The key in use is refused.
func (k *Keeper) Remove(ctx context.Context, id string) error {
	current, err := k.current()
	if err != nil {
		return err
	}
	if current.KeyID == id {
		return ErrInUse
	}
	authorization, err := k.as(ctx, current)
	if err != nil {
		return err
	}
	return k.Registry.RemoveKey(ctx, authorization, current.UserID, id)
}
