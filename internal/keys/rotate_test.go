package keys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/keys"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// late is a registry whose lists run behind.
type late struct {
	keys.Registry
	hide []string
}

func (l *late) Keys(ctx context.Context, authorization []string, userID string) ([]zitadel.Key, error) {
	all, err := l.Registry.Keys(ctx, authorization, userID)
	return slices.DeleteFunc(all, func(k zitadel.Key) bool { return slices.Contains(l.hide, k.ID) }), err
}

func TestKeyIsReplacedWhenDueAndNotBefore(t *testing.T) {
	for _, c := range []struct {
		name  string
		later time.Duration
		plan  keys.Plan
		due   bool
	}{
		{"Young", 29 * 24 * time.Hour, keys.Plan{Every: 30 * 24 * time.Hour}, false},
		{"Old", 31 * 24 * time.Hour, keys.Plan{Every: 30 * 24 * time.Hour}, true},
		{"FarFromItsEnd", 300 * 24 * time.Hour, keys.Plan{BeforeExpiry: 7 * 24 * time.Hour}, false},
		{"NearItsEnd", 359 * 24 * time.Hour, keys.Plan{BeforeExpiry: 7 * 24 * time.Hour}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			old := w.keyed()
			w.later(c.later)
			k := w.keeper()
			k.Plan = c.plan
			k.Plan.Lifetime, k.Plan.Grace = 500*24*time.Hour, time.Hour
			out, err := k.Step(context.Background(), false)
			if err != nil {
				t.Fatal(err)
			}
			if now := w.inFile().KeyID; (now != old) != c.due || (out.Rotated != "") != c.due {
				t.Errorf("rotated to %q, want due %t", out.Rotated, c.due)
			}
		})
	}
}

func TestReplacedFileKeepsModeAndLinksToIt(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(w.file, link); err != nil {
		t.Fatal(err)
	}
	k := w.keeper()
	k.File = link
	if _, err := k.Step(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(w.file)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
}

func TestReplicasOfOneFileRotateOnce(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	w.later(360 * 24 * time.Hour) // a year is what the key has
	before := w.s.Count()
	var all sync.WaitGroup
	for range 6 {
		k := w.keeper()
		k.Plan = keys.Plan{BeforeExpiry: 7 * 24 * time.Hour, Lifetime: 500 * 24 * time.Hour, Grace: time.Hour}
		all.Go(func() {
			for range 3 {
				if _, err := k.Step(context.Background(), false); err != nil && !errors.Is(err, keys.ErrBusy) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	added := 0
	for _, r := range w.s.Requests()[before:] {
		if strings.HasSuffix(r.Operation, "/AddKey") {
			added++
		}
	}
	if added != 1 || len(w.s.Keys(w.user)) != 2 {
		t.Errorf("%d keys registered, %d there", added, len(w.s.Keys(w.user)))
	}
}

func TestKeyThatAnOperatorPutThereIsNotOverwritten(t *testing.T) {
	w := newWorld(t)
	old := w.keyed()
	if _, err := w.crashing(keys.Noted).Step(context.Background(), true); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	theirs := w.keyed()
	w.step(false)
	if w.inFile().KeyID != theirs {
		t.Error("the operator's key is gone")
	}
	w.settled(old)
}

func TestZITADELOutOfReachLeavesTheKeyInUse(t *testing.T) {
	w := newWorld(t)
	old := w.keyed()
	w.s.FailTokens(503, 0)
	if _, err := w.keeper().Step(context.Background(), true); err == nil {
		t.Fatal("rotated without ZITADEL")
	}
	w.s.FailTokens(0, 0)
	if w.inFile().KeyID != old {
		t.Error("the key was replaced")
	}
	w.settled()
	if _, err := w.crashing(keys.Noted).Step(context.Background(), true); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	w.s.FailTokens(500, 0)
	if _, err := w.keeper().Step(context.Background(), false); err == nil || w.inFile().KeyID != old {
		t.Errorf("an unproved key came into use: %v", err)
	}
	w.s.FailTokens(0, 0)
	w.step(false)
	w.later(2 * time.Hour)
	w.step(false)
	w.settled()
}

func TestOutputLeavesTheKeyFileAlone(t *testing.T) {
	w := newWorld(t)
	old := w.keyed()
	output := filepath.Join(t.TempDir(), "next.json")
	step := func() keys.Outcome {
		k := w.keeper()
		k.Output = output
		out, err := k.Step(context.Background(), false)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	k := w.keeper()
	k.Output = output
	out, err := k.Step(context.Background(), true)
	if err != nil || w.inFile().KeyID != old || out.Old != old {
		t.Fatalf("%+v, %v", out, err)
	}
	w.later(2 * time.Hour)
	if out := step(); len(out.Removed) != 0 {
		t.Errorf("removed %v, which is in use", out.Removed)
	}
	content, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := step(); !slices.Equal(out.Removed, []string{old}) {
		t.Errorf("removed %v, want %s", out.Removed, old)
	}
	w.settled()
}

func TestListTellsWhatEachKeyIs(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.keyed()
	w.step(true)
	if _, err := w.crashing(keys.Registered).Step(context.Background(), true); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	listed, err := w.keeper().List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var states []keys.State
	for _, l := range listed {
		states = append(states, l.State)
	}
	if want := []keys.State{keys.Unknown, keys.Replaced, keys.InUse, keys.Coming}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
	if err := w.keeper().Remove(context.Background(), listed[2].ID); !errors.Is(err, keys.ErrInUse) {
		t.Errorf("the key in use: %v", err)
	}
	if err := w.keeper().Remove(context.Background(), listed[0].ID); err != nil || slices.Contains(w.s.Keys(w.user), listed[0].ID) {
		t.Errorf("not removed: %v", err)
	}
}

func TestPrivateKeyStaysHere(t *testing.T) {
	w := newWorld(t)
	w.keyed()
	w.step(true)
	for _, r := range w.s.Requests() {
		if strings.Contains(r.Message, "PRIVATE") || strings.Contains(r.Message, "UFJJVkFURS") {
			t.Errorf("%s carries a private key", r.Operation)
		}
	}
	pair := pairs()[0]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if text := fmt.Sprintf(verb, pair); text != "[key pair]" {
			t.Errorf("%s shows %s", verb, text)
		}
	}
	if text, err := pair.MarshalText(); err != nil || !bytes.Equal(text, []byte("[key pair]")) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestDamagedJournalAndForeignOnesAreRefused(t *testing.T) {
	for name, text := range map[string]string{"damaged": `{"user_id":`, "of another user": `{"user_id":"17","next":{"key":"","expiry":"2030-01-01T00:00:00Z"}}`, "no user": "{}"} {
		w := newWorld(t)
		old := w.keyed()
		if err := os.WriteFile(w.file+".rotation", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.keeper().Step(context.Background(), true); err == nil || !strings.Contains(err.Error(), ".rotation") {
			t.Errorf("%s: %v", name, err)
		}
		if w.inFile().KeyID != old || len(w.s.Keys(w.user)) != 1 {
			t.Errorf("%s: something was done", name)
		}
	}
}
