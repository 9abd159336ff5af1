package proxy

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zproxy/zproxy/policy/operation"
)

const (
	// circuitFailures in a row, and none that succeeded for circuitSilence, open
	// the circuit: both, so that neither a burst of calls that break together nor
	// one lost call an hour does.
	circuitFailures = 5
	circuitSilence  = 2 * time.Second
	// circuitPause is how long it then takes to the first probe, and from a failed
	// probe to the next: a healthy upstream is refused no longer.
	circuitPause = time.Second
	// probeTime is when another probe follows one that has not come back.
	probeTime = 2 * time.Second
)

// maxWasters bounds the callers that are remembered because they wasted a probe.
const maxWasters = 256

// circuit refuses requests at once while the upstream answers none, and lets one
// probe at a time through to find out when it does again.
//
// A probe that ends before the upstream could answer it tells nothing, and its
// place is free at once. Those who can be expected to waste probes, because they
// give their calls less time than a probe may take, still send their body or have
// called one off, have a place of their own: however many they are, they keep
// nobody else from probing.
//
// Failures are connections that cannot be made or break before an answer,
// answers that do not come, and 502, 503 and 504. While all of them are such
// answers to one operation, only that operation is refused: a caller who knows
// one that fails must not close the way for all.
type circuit struct {
	changed func(open bool, why string)

	open     atomic.Bool
	streak   atomic.Int32 // failures since the last success
	lastGood atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex           // not taken while all is well
	only    *operation.Operation // the one that fails
	whole   bool                 // more than one does, or the way to the upstream
	places  [2]place             // of those who see a probe through, and of the others
	wasters map[string]bool      // callers that called a probe off since the circuit opened
}

// place is where one probe at a time is.
type place struct {
	next  time.Time // of the next probe
	probe int       // the number of the last one
}

// probe is what a request finds out for the circuit. The zero probe is none.
type probe struct{ place, number int }

// admission is what the circuit says of a request.
type admission struct {
	ok    bool
	probe probe
	wait  time.Duration // when to try again, if not ok
}

// admit lets a request of caller through, or not. hasty says that it may end
// before a probe would, or last as long as its caller wants.
func (c *circuit) admit(op *operation.Operation, caller string, hasty bool, now time.Time) admission {
	if !c.open.Load() {
		return admission{ok: true}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open.Load() || !c.whole && c.only != op {
		return admission{ok: true}
	}
	at := 0
	if hasty || c.wasters[caller] {
		at = 1
	}
	p := &c.places[at]
	if now.Before(p.next) {
		return admission{wait: p.next.Sub(now)}
	}
	p.next = now.Add(probeTime)
	p.probe++
	return admission{ok: true, probe: probe{at, p.probe}}
}

// succeeded tells of an answer.
func (c *circuit) succeeded(now time.Time) {
	c.lastGood.Store(now.UnixNano())
	if c.streak.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streak.Store(0)
	c.only, c.whole, c.wasters = nil, false, nil
	if c.open.CompareAndSwap(true, false) {
		c.changed(false, "")
	}
}

// failed tells of a failure that answered was an answer to op. why is for the operator.
func (c *circuit) failed(op *operation.Operation, answered bool, p probe, why string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.streak.Add(1)
	c.whole = c.whole || !answered || c.only != nil && c.only != op
	c.only = op
	switch {
	case p.number != 0:
		if c.places[p.place].probe == p.number {
			c.places[p.place].next = now.Add(jittered(circuitPause))
		}
	case n >= circuitFailures && now.UnixNano()-c.lastGood.Load() >= int64(circuitSilence) && c.open.CompareAndSwap(false, true):
		for i := range c.places {
			c.places[i].next = now.Add(jittered(circuitPause))
		}
		c.changed(true, strconv.Itoa(int(n))+" failures in a row, the last one: "+why)
	}
}

// abandoned tells that a probe of caller found nothing out.
func (c *circuit) abandoned(p probe, caller string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := &c.places[p.place]; at.probe == p.number { // and none has followed it
		at.next = now
	}
	if p.place != 0 || !c.open.Load() || len(c.wasters) >= maxWasters {
		return
	}
	if c.wasters == nil {
		c.wasters = make(map[string]bool)
	}
	c.wasters[caller] = true
}

// jittered is d, a quarter more or less.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}
