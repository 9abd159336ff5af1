package workload

import (
	"errors"
	"testing"
	"time"
)

func TestFetchesArePlanned(t *testing.T) {
	now := time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC)
	p := plan{every: 5 * time.Minute, pause: 10 * time.Second}
	due := func(after time.Duration, want bool) {
		t.Helper()
		if p.isDue(now.Add(after)) != want {
			t.Errorf("after %v due: %v", after, !want)
		}
	}
	due(0, true) // the first is at once
	p.began = now
	p.ended(now, nil)
	due(3*time.Minute, false)
	due(5*time.Minute, true)
	due(-time.Second, true) // the clock was set back
	p.wished = true
	due(9*time.Second, false)
	due(10*time.Second, true)
	if w := p.wait(now.Add(9900 * time.Millisecond)); w != 100*time.Millisecond {
		t.Errorf("waits %v", w)
	}
	if w := p.wait(now.Add(time.Hour)); w != 0 {
		t.Errorf("waits %v for what is due", w)
	}
	p.ended(now, nil) // fulfils the wish
	due(10*time.Second, false)
	for failures, most := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		p.ended(now, errors.New("down"))
		if pause := p.due.Sub(now); pause > most*time.Second || pause < most*time.Second*3/4 {
			t.Errorf("pause %v after %d failures", pause, failures+1)
		}
	}
	p.ended(now, nil)
	p.ended(now, errors.New("down"))
	if pause := p.due.Sub(now); pause > time.Second {
		t.Errorf("pause %v after a success and a failure", pause)
	}
	if w := p.wait(now.Add(-time.Hour)); w != lookEvery {
		t.Errorf("waits %v", w)
	}
	p = plan{every: 50 * time.Millisecond}
	for range 9 {
		p.ended(now, errors.New("down"))
	}
	if pause := p.due.Sub(now); pause > p.every {
		t.Errorf("pause %v is longer than without failures", pause)
	}
}
