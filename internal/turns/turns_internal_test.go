package turns

import (
	"context"
	"testing"
)

func mustWait(t *testing.T, all *Turns, key string) (end func()) {
	t.Helper()
	end, ok := all.Wait(t.Context(), key)
	if !ok {
		t.Fatalf("no turn of %s came", key)
	}
	return end
}

func TestTurnsAreThoseOfEachKey(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	all := New(2)
	first, second, other := mustWait(t, all, "a"), mustWait(t, all, "a"), mustWait(t, all, "b")
	if _, ok := all.Wait(ended, "a"); ok {
		t.Error("a third goes on")
	}
	next := make(chan func(), 1)
	go func() { end, _ := all.Wait(t.Context(), "a"); next <- end }()
	first()
	third := <-next
	if third == nil {
		t.Fatal("nobody's turn comes after another's")
	}
	if _, ok := all.Wait(ended, "a"); ok {
		t.Error("a third goes on after one has ended and the next begun")
	}
	for _, end := range []func(){second, third, other} {
		end()
	}
	if len(all.of) != 0 {
		t.Errorf("%d keys are left", len(all.of))
	}
}
