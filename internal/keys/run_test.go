package keys_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/keys"
)

// Unattended, a key is replaced when it is due, a failure is told and does not
// end the watch, and the end is at once.
func TestRunReplacesTellsAndEnds(t *testing.T) {
	w := newWorld(t)
	old := w.keyed()
	k := w.keeper()
	k.Plan = keys.Plan{BeforeExpiry: 400 * 24 * time.Hour, Lifetime: 500 * 24 * time.Hour, Grace: time.Millisecond}
	k.Clock = nil
	told := make(chan keys.Outcome, 8)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		k.Run(ctx, func(out keys.Outcome, err error) {
			if err != nil {
				t.Error(err)
			}
			told <- out
		})
	})
	out := <-told
	for len(out.Removed) == 0 {
		next := <-told
		out.Removed = next.Removed
	}
	cancel()
	running.Wait()
	if out.Old != old || out.Removed[0] != old {
		t.Errorf("%+v, want %s replaced and removed", out, old)
	}
	w.settled()
}

func TestRunTellsOfFailures(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	w.s.FailTokens(503, 0)
	defer w.s.FailTokens(0, 0)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var failure error
	w.keeper().Run(ctx, func(_ keys.Outcome, err error) { failure = err; cancel() })
	if failure == nil || errors.Is(failure, keys.ErrBusy) {
		t.Errorf("told of %v", failure)
	}
}
