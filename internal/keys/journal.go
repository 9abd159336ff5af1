package keys

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// journal is what is under way with a key file. It stands beside it until all
// is done, and is written before each step that could not be found out
// afterwards: whoever finds one goes on where it ends.
type journal struct {
	UserID string `json:"user_id"`
	// Next is the key that is to replace the one in the key file; nil for none.
	Next *next `json:"next,omitempty"`
	// Last is the key that did so last.
	Last *mark `json:"last,omitempty"`
	// Replaced are keys that are to be removed from ZITADEL.
	Replaced []replaced `json:"replaced,omitempty"`
}

// mark is by what a key is known again in a list of ZITADEL's, which shows
// nothing of the key itself.
type mark struct {
	// KeyID is the key's; "" while the answer that names it has not come.
	KeyID string `json:"key_id,omitempty"`
	// Expiry is not quite as far off as was asked for: its odd part is random.
	Expiry time.Time `json:"expiry"`
	// Before are the keys that were there before it.
	Before []string `json:"before"`
}

// next is a key on its way into the key file.
type next struct {
	mark
	// Key is its private half.
	Key string `json:"key"`
	// Replaces is the key in the key file; "" when there was no file.
	Replaces string `json:"replaces,omitempty"`
}

// replaced is a key that served until another replaced it.
type replaced struct {
	KeyID string `json:"key_id"`
	// Remove is when, at the earliest.
	Remove time.Time `json:"remove"`
}

// fits tells whether a key of a list can be the one that is marked. Servers may
// keep whole seconds only.
func (m mark) fits(id string, expiry time.Time) bool {
	return !slices.Contains(m.Before, id) && expiry.Truncate(time.Second).Equal(m.Expiry.Truncate(time.Second))
}

// journalOf is the journal's place.
func journalOf(path string) string { return path + ".rotation" }

// readJournal reads the journal of a key file; nil when nothing is under way.
func readJournal(path string) (*journal, error) {
	text, err := read(journalOf(path))
	if text == nil || err != nil {
		return nil, err
	}
	j := new(journal)
	if err := json.Unmarshal(text, j); err != nil || j.UserID == "" {
		return nil, fmt.Errorf("reading %s: it is damaged; compare `zproxy keys list` with it, and remove it", journalOf(path))
	}
	return j, nil
}

// write keeps the journal, or takes it away when nothing is left to do.
func (j *journal) write(path string) error {
	if j.Next == nil && len(j.Replaced) == 0 && j.Last == nil {
		return remove(journalOf(path))
	}
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", journalOf(path), err)
	}
	return write(journalOf(path), append(text, '\n'))
}
