package proxy

import (
	"context"
	"testing"
)

func TestTurnsAreOneForEachCaller(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	all := new(turns)
	if !all.take(t.Context(), "a") || !all.take(t.Context(), "b") {
		t.Fatal("a caller waits for another")
	}
	if all.take(ended, "a") {
		t.Error("a caller has two turns")
	}
	next := make(chan bool)
	go func() { next <- all.take(t.Context(), "a") }()
	all.give("a")
	if !<-next {
		t.Error("nobody's turn comes after another's")
	}
	all.give("a")
	all.give("b")
	if len(all.of) != 0 {
		t.Errorf("%d callers are left", len(all.of))
	}
}
