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

// circuit refuses requests at once while the upstream answers none, and lets one
// probe at a time through to find out when it does again.
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

	mu    sync.Mutex           // not taken while all is well
	only  *operation.Operation // the one that fails
	whole bool                 // more than one does, or the way to the upstream
	next  time.Time            // of the next probe
}

// admission is what the circuit says of a request.
type admission struct {
	ok    bool
	probe bool
	wait  time.Duration // when to try again, if not ok
}

func (c *circuit) admit(op *operation.Operation, now time.Time) admission {
	if !c.open.Load() {
		return admission{ok: true}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.open.Load() || !c.whole && c.only != op:
		return admission{ok: true}
	case now.Before(c.next):
		return admission{wait: c.next.Sub(now)}
	}
	c.next = now.Add(probeTime)
	return admission{ok: true, probe: true}
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
	c.only, c.whole = nil, false
	if c.open.CompareAndSwap(true, false) {
		c.changed(false, "")
	}
}

// failed tells of a failure that answered was an answer to op. why is for the operator.
func (c *circuit) failed(op *operation.Operation, answered, probe bool, why string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.streak.Add(1)
	c.whole = c.whole || !answered || c.only != nil && c.only != op
	c.only = op
	switch {
	case probe:
		c.next = now.Add(jittered(circuitPause))
	case n >= circuitFailures && now.UnixNano()-c.lastGood.Load() >= int64(circuitSilence) && c.open.CompareAndSwap(false, true):
		c.next = now.Add(jittered(circuitPause))
		c.changed(true, strconv.Itoa(int(n))+" failures in a row, the last one: "+why)
	}
}

// abandoned tells that a probe found nothing out.
func (c *circuit) abandoned(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = now
}

// jittered is d, a quarter more or less.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}
