package serviceuser

import (
	"context"
	"sync"
	"time"
)

// patience is how long a token request may stay without an answer before
// another one is sent beside it. A request that went into the dark never comes
// back, and one that is sent after the endpoint has recovered does; one that is
// only slow may still win.
const patience = 3 * time.Second

// minted is how one request ended.
type minted struct {
	issued issued
	err    error
}

// request brings forth a token: from one request, as a rule. The error is that
// of the request that ended last. No request outlives it.
func (l *loop) request(ctx context.Context) (issued, error) {
	if !l.credential.fetches() {
		return l.mint(ctx, l.minter)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	done, open := make(chan minted, fetchTimeout/patience+1), 0 // room for each that is sent
	send := func() {
		open++
		all.Go(func() {
			i, err := l.mint(ctx, l.minter)
			done <- minted{i, err}
		})
	}
	send()
	ticker := time.NewTicker(patience)
	defer ticker.Stop()
	failed := false
	for {
		select {
		case <-ticker.C:
			if !failed && ctx.Err() == nil {
				send()
			}
		case m := <-done:
			if open--; m.err == nil || open == 0 {
				return m.issued, m.err
			}
			failed = true
		}
	}
}

// mint asks once, and takes down when.
func (l *loop) mint(ctx context.Context, m minter) (issued, error) {
	began, elapsed := l.now(), time.Since(l.made)
	i, err := m.mint(ctx, l.endpoint, began)
	i.began, i.elapsed = began, elapsed
	return i, err
}
