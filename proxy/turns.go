package proxy

import (
	"context"
	"sync"
)

// largeBody is from how many bytes on a body waits for its caller's turn.
const largeBody = 16 << 10

// turns let one large body of each caller be judged, or searched, at a time. A
// megabyte of small fields takes a tenth of a second of a processor: a caller
// that sends many waits for its own, and the others do not wait behind all of them.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

// turn is one caller's.
type turn struct {
	taken chan struct{} // holds a value while somebody has it
	users int           // who has it, and who wait
}

// take waits until it is the caller's turn, and reports false if ctx ends before.
func (t *turns) take(ctx context.Context, caller string) bool {
	t.mu.Lock()
	if t.of == nil {
		t.of = make(map[string]*turn)
	}
	its := t.of[caller]
	if its == nil {
		its = &turn{taken: make(chan struct{}, 1)}
		t.of[caller] = its
	}
	its.users++
	t.mu.Unlock()
	select {
	case its.taken <- struct{}{}:
		return true
	case <-ctx.Done():
		t.leave(caller, its)
		return false
	}
}

// give ends what take began.
func (t *turns) give(caller string) {
	t.mu.Lock()
	its := t.of[caller]
	t.mu.Unlock()
	<-its.taken
	t.leave(caller, its)
}

func (t *turns) leave(caller string, its *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if its.users--; its.users == 0 {
		delete(t.of, caller)
	}
}

// await waits for the caller's turn to have a large body read and judged, which
// ends with [exchange.judged].
func (x *exchange) await() error {
	form := x.bodyForm()
	squeezed := compressed(form.contentEncoding) || compressed(form.messageEncoding)
	if x.turn || len(x.whole) < largeBody && !squeezed {
		return nil
	}
	ctx, cancel := context.WithTimeout(x.in.Context(), wholeBodyTime)
	defer cancel()
	if !x.turns.take(ctx, x.record.Caller) {
		return errTurn
	}
	x.turn = true
	return nil
}

func compressed(encoding string) bool { return encoding != "" && encoding != "identity" }

// judged ends the caller's turn.
func (x *exchange) judged() {
	if x.turn {
		x.turn = false
		x.turns.give(x.record.Caller)
	}
}
