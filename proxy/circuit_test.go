package proxy

import (
	"testing"
	"time"

	"github.com/zproxy/zproxy/policy/operation"
)

// newTestCircuit is closed, had its last success at its begin, and writes down
// when it opens and closes.
func newTestCircuit() (c *circuit, begin time.Time, changes *[]bool) {
	changes = new([]bool)
	c = &circuit{changed: func(open bool, _ string) { *changes = append(*changes, open) }}
	begin = time.Unix(1e9, 0)
	c.lastGood.Store(begin.UnixNano())
	return c, begin, changes
}

func TestCircuitOpensAfterFailuresInARowAndSilence(t *testing.T) {
	op := new(operation.Operation)
	for name, c := range map[string]struct {
		failures int
		after    time.Duration // of the last one
		open     bool
	}{
		"too few":      {circuitFailures - 1, time.Minute, false},
		"too soon":     {100, circuitSilence - 1, false},
		"few and late": {circuitFailures, circuitSilence, true},
	} {
		circuit, at, _ := newTestCircuit()
		for range c.failures {
			circuit.failed(op, false, false, "x", at.Add(c.after))
		}
		if got := circuit.open.Load(); got != c.open {
			t.Errorf("%s: open %v", name, got)
		}
	}
}

func TestASuccessBetweenFailuresKeepsTheCircuitClosed(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := newTestCircuit()
	for i := range 1000 {
		at = at.Add(time.Second)
		c.failed(op, false, false, "x", at)
		if i%4 == 3 {
			c.succeeded(at)
		}
		if c.open.Load() {
			t.Fatalf("open after %d", i)
		}
	}
}

func TestOneProbeAtATimeAndSuccessCloses(t *testing.T) {
	op := new(operation.Operation)
	c, at, changes := newTestCircuit()
	at = at.Add(time.Minute)
	for range circuitFailures {
		c.failed(op, false, false, "x", at)
	}
	if a := c.admit(op, at); a.ok || a.wait <= 0 || a.wait > 1250*time.Millisecond {
		t.Errorf("just opened: %+v", a)
	}
	at = at.Add(1250 * time.Millisecond)
	if a := c.admit(op, at); !a.ok || !a.probe {
		t.Errorf("after the pause: %+v", a)
	}
	for range 100 {
		if a := c.admit(op, at.Add(probeTime/2)); a.ok {
			t.Fatalf("a second probe beside the first: %+v", a)
		}
	}
	c.failed(op, false, true, "x", at)
	if a := c.admit(op, at); a.ok {
		t.Errorf("after a failed probe: %+v", a)
	}
	at = at.Add(1250 * time.Millisecond)
	if a := c.admit(op, at); !a.probe {
		t.Errorf("the next probe: %+v", a)
	}
	c.succeeded(at)
	if a := c.admit(op, at); !a.ok || a.probe {
		t.Errorf("after success: %+v", a)
	}
	if len(*changes) != 2 || !(*changes)[0] || (*changes)[1] {
		t.Errorf("changes %v", *changes)
	}
}

// A probe that does not come back, or that its caller called off, must not keep
// the circuit open before a healthy upstream.
func TestAProbeThatIsLostHoldsNothingUp(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := newTestCircuit()
	at = at.Add(time.Minute)
	for range circuitFailures {
		c.failed(op, false, false, "x", at)
	}
	at = at.Add(2 * time.Second)
	if a := c.admit(op, at); !a.probe {
		t.Fatalf("%+v", a)
	}
	if a := c.admit(op, at.Add(probeTime)); !a.probe {
		t.Errorf("no further probe after %v: %+v", probeTime, a)
	}
	c.abandoned(at.Add(probeTime))
	if a := c.admit(op, at.Add(probeTime)); !a.probe {
		t.Errorf("no further probe after one was called off: %+v", a)
	}
}

// Requests that were under way when it opened fail later, one by one.
func TestLateFailuresDoNotPutTheProbeOff(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := newTestCircuit()
	at = at.Add(time.Minute)
	for range circuitFailures {
		c.failed(op, false, false, "x", at)
	}
	for range 20 {
		at = at.Add(100 * time.Millisecond)
		c.failed(op, false, false, "x", at)
	}
	if a := c.admit(op, at); !a.probe {
		t.Errorf("no probe after 2 s: %+v", a)
	}
}

// A caller who knows one operation that fails must not close the way for others.
func TestOneOperationThatFailsIsRefusedAlone(t *testing.T) {
	bad, good := new(operation.Operation), new(operation.Operation)
	bad.Name, good.Name = "bad", "good"
	c, at, _ := newTestCircuit()
	at = at.Add(time.Minute)
	for range 100 {
		c.failed(bad, true, false, "zitadel answered 503", at)
	}
	if a := c.admit(bad, at); a.ok {
		t.Errorf("the operation that fails: %+v", a)
	}
	if a := c.admit(good, at); !a.ok || a.probe {
		t.Errorf("another operation: %+v", a)
	}
	c.failed(good, true, false, "zitadel answered 503", at)
	if a := c.admit(good, at); a.ok {
		t.Errorf("once two fail: %+v", a)
	}
}

func TestAClosedCircuitAllocatesNothing(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := newTestCircuit()
	if n := testing.AllocsPerRun(100, func() { c.admit(op, at); c.succeeded(at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
