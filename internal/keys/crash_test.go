package keys_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/keys"
)

var errCrash = errors.New("the process ended here")

func stages() []keys.Stage {
	return []keys.Stage{keys.Prepared, keys.Registered, keys.Noted, keys.Proved, keys.Swapped, keys.Retired, keys.Removed}
}

// crashing is a keeper whose process ends when a stage is reached.
func (w *world) crashing(at keys.Stage) *keys.Keeper {
	k := w.keeper()
	k.At = func(s keys.Stage) error {
		if s == at {
			return errCrash
		}
		return nil
	}
	return k
}

func TestRotationCutOffAtAnyStageIsTakenUp(t *testing.T) {
	for _, stage := range stages() {
		t.Run(string(stage), func(t *testing.T) {
			w := newWorld(t)
			old := w.keyed()
			other, _ := w.register() // of no concern
			_, err := w.crashing(stage).Step(context.Background(), true)
			if stage == keys.Removed { // an hour after the rest
				if err != nil {
					t.Fatal(err)
				}
				w.later(2 * time.Hour)
				_, err = w.crashing(stage).Step(context.Background(), false)
			}
			if !errors.Is(err, errCrash) {
				t.Fatalf("not cut off: %v", err)
			}
			w.step(false)
			if got := w.inFile().KeyID; got == old || got == other {
				t.Fatal("the rotation was not taken up")
			}
			if stage != keys.Removed && !slices.Contains(w.s.Keys(w.user), old) {
				t.Error("the old key was removed within its grace")
			}
			w.later(2 * time.Hour)
			w.step(false)
			w.settled(other)
		})
	}
}

func TestFirstKeyCutOffAtAnyStageIsTakenUp(t *testing.T) {
	for _, stage := range stages()[:6] {
		t.Run(string(stage), func(t *testing.T) {
			w := newWorld(t)
			if _, _, err := w.crashing(stage).Enroll(context.Background(), w.admin, w.user); !errors.Is(err, errCrash) {
				t.Fatalf("not cut off: %v", err)
			}
			if _, _, err := w.keeper().Enroll(context.Background(), w.admin, w.user); err != nil {
				t.Fatal(err)
			}
			w.settled()
			before := w.inFile().KeyID
			if _, made, err := w.keeper().Enroll(context.Background(), w.admin, w.user); err != nil || made || w.inFile().KeyID != before {
				t.Errorf("made %t another time, %v", made, err)
			}
			if info, err := os.Stat(w.file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

// The answer to AddKey may be lost any number of times: the key is found again
// by its end, and proved by a token.
func TestRegistrationWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	w := newWorld(t)
	old := w.keyed()
	w.loseAnswers(true)
	if _, err := w.keeper().Step(context.Background(), true); err == nil {
		t.Fatal("the answer was not lost")
	}
	if n := len(w.s.Keys(w.user)); n != 2 {
		t.Fatalf("%d keys, want the one that was registered", n)
	}
	w.loseAnswers(false)
	if out := w.step(false); out.Old != old || len(w.s.Keys(w.user)) != 2 {
		t.Errorf("%+v, and %d keys", out, len(w.s.Keys(w.user)))
	}
	w.later(2 * time.Hour)
	w.step(false)
	w.settled()
}

func TestTwinThatNoListShowedInTimeIsRemovedInTheEnd(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	k := w.keeper()
	blind := &late{Registry: k.Registry}
	k.Registry = blind
	w.loseAnswers(true)
	if _, err := k.Step(context.Background(), true); err == nil {
		t.Fatal("the answer was not lost")
	}
	w.loseAnswers(false)
	blind.hide = w.s.Keys(w.user)[1:]
	if _, err := k.Step(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	if n := len(w.s.Keys(w.user)); n != 3 {
		t.Fatalf("%d keys, want the old one and the pair's twice", n)
	}
	blind.hide = nil
	w.later(2 * time.Hour)
	if _, err := k.Step(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	w.settled()
}
