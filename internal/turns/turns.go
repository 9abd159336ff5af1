// Package turns lets so many of one kind go on at once, and the others of that
// kind wait for their turn, so that those of other kinds do not wait behind all
// of them. Kinds are told apart by a key, such as a caller or an address; one
// that nobody goes on in or waits for takes no memory.
package turns

import (
	"context"
	"sync"
)

// Turns are safe for concurrent use; see [New].
type Turns struct {
	each int

	mu sync.Mutex
	of map[string]*kind
}

// kind are those of one key.
type kind struct {
	slots chan struct{} // holds a value for each that goes on
	users int           // who go on or wait
}

// New lets each go on at once of every key; it is to be at least 1.
func New(each int) *Turns { return &Turns{each: each, of: make(map[string]*kind)} }

// Wait waits until it is key's turn, and returns what ends that turn, to be
// called once. It reports false, and no turn begins, if ctx ends before.
func (t *Turns) Wait(ctx context.Context, key string) (end func(), ok bool) {
	k := t.enter(key)
	select {
	case k.slots <- struct{}{}:
		return func() { <-k.slots; t.leave(key, k) }, true
	case <-ctx.Done():
		t.leave(key, k)
		return nil, false
	}
}

func (t *Turns) enter(key string) *kind {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.of[key]
	if k == nil {
		k = &kind{slots: make(chan struct{}, t.each)}
		t.of[key] = k
	}
	k.users++
	return k
}

func (t *Turns) leave(key string, k *kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(t.of, key)
	}
}
