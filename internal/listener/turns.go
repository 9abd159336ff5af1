package listener

import (
	"context"
	"sync"
)

// turns let so many go on at once, in all and from one address; others wait.
type turns struct {
	all        chan struct{}
	perAddress int

	mu   sync.Mutex
	from map[string]*turn
}

// turn are those of one address.
type turn struct {
	slots chan struct{}
	users int // who go on or wait
}

func newTurns(all, perAddress int) *turns {
	return &turns{all: make(chan struct{}, all), perAddress: perAddress, from: make(map[string]*turn)}
}

// wait waits for a turn or the end of ctx, and returns what ends either.
func (t *turns) wait(ctx context.Context, address string) (leave func()) {
	its := t.enter(address)
	select {
	case its.slots <- struct{}{}:
	case <-ctx.Done():
		return func() { t.leave(address, its) }
	}
	select {
	case t.all <- struct{}{}:
	case <-ctx.Done():
		return func() { <-its.slots; t.leave(address, its) }
	}
	return func() { <-t.all; <-its.slots; t.leave(address, its) }
}

func (t *turns) enter(address string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	its := t.from[address]
	if its == nil {
		its = &turn{slots: make(chan struct{}, t.perAddress)}
		t.from[address] = its
	}
	its.users++
	return its
}

func (t *turns) leave(address string, its *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if its.users--; its.users == 0 {
		delete(t.from, address)
	}
}
