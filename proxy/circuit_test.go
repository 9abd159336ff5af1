package proxy

import (
	"strconv"
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

// openTestCircuit is open, and it is time for a probe.
func openTestCircuit(op *operation.Operation) (c *circuit, at time.Time, changes *[]bool) {
	c, at, changes = newTestCircuit()
	at = at.Add(time.Minute)
	for range circuitFailures {
		c.failed(op, false, probe{}, "x", at)
	}
	return c, at.Add(2 * circuitPause), changes
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
			circuit.failed(op, false, probe{}, "x", at.Add(c.after))
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
		c.failed(op, false, probe{}, "x", at)
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
		c.failed(op, false, probe{}, "x", at)
	}
	if a := c.admit(op, "unix:a", false, at); a.ok || a.wait <= 0 || a.wait > 1250*time.Millisecond {
		t.Errorf("just opened: %+v", a)
	}
	at = at.Add(1250 * time.Millisecond)
	a := c.admit(op, "unix:a", false, at)
	if !a.ok || a.probe.number == 0 {
		t.Errorf("after the pause: %+v", a)
	}
	for range 100 {
		if a := c.admit(op, "unix:a", false, at.Add(probeTime/2)); a.ok {
			t.Fatalf("a second probe beside the first: %+v", a)
		}
	}
	c.failed(op, false, a.probe, "x", at)
	if a := c.admit(op, "unix:a", false, at); a.ok {
		t.Errorf("after a failed probe: %+v", a)
	}
	at = at.Add(1250 * time.Millisecond)
	if a := c.admit(op, "unix:a", false, at); a.probe.number == 0 {
		t.Errorf("the next probe: %+v", a)
	}
	c.succeeded(at)
	if a := c.admit(op, "unix:a", false, at); !a.ok || a.probe.number != 0 {
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
		c.failed(op, false, probe{}, "x", at)
	}
	at = at.Add(2 * time.Second)
	if a := c.admit(op, "unix:a", false, at); a.probe.number == 0 {
		t.Fatalf("%+v", a)
	}
	first := c.admit(op, "unix:a", false, at.Add(probeTime))
	if first.probe.number == 0 {
		t.Fatalf("no further probe after %v: %+v", probeTime, first)
	}
	c.abandoned(first.probe, "unix:a", at.Add(probeTime))
	second := c.admit(op, "unix:b", false, at.Add(probeTime))
	if second.probe.number == 0 {
		t.Errorf("no further probe after one was called off: %+v", second)
	}
	c.abandoned(first.probe, "unix:a", at.Add(probeTime)) // is over already
	if a := c.admit(op, "unix:c", false, at.Add(probeTime)); a.ok {
		t.Errorf("beside the one that followed: %+v", a)
	}
}

// Callers that give their calls a millisecond have one place, however many they
// are: others probe all the same.
func TestHastyCallersKeepNobodyFromProbing(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := openTestCircuit(op)
	for range 100 {
		at = at.Add(time.Millisecond)
		if a := c.admit(op, "unix:hasty", true, at); a.ok {
			c.abandoned(a.probe, "unix:hasty", at)
		}
		c.admit(op, "unix:hasty", true, at) // the next one is there at once
		a := c.admit(op, "unix:honest", false, at)
		if a.probe.number == 0 {
			t.Fatalf("no probe beside those that are wasted: %+v", a)
		}
		c.failed(op, false, a.probe, "x", at)
		at = at.Add(2 * circuitPause)
	}
	if a := c.admit(op, "unix:hasty", true, at.Add(probeTime)); a.probe.number == 0 {
		t.Errorf("where only such callers call, none of them probes: %+v", a)
	}
}

// Callers that call their probes off go to that place.
func TestCallersThatCallProbesOffKeepNobodyFromProbing(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := openTestCircuit(op)
	callers := func(do func(caller string)) {
		for i := range 2 * maxWasters {
			do("unix:" + strconv.Itoa(i))
		}
	}
	callers(func(caller string) { c.abandoned(c.admit(op, caller, false, at).probe, caller, at) })
	if len(c.wasters) != maxWasters {
		t.Errorf("%d callers are remembered", len(c.wasters))
	}
	admitted := 0
	for i := range maxWasters {
		if c.admit(op, "unix:"+strconv.Itoa(i), false, at).ok {
			admitted++
		}
	}
	if a := c.admit(op, "unix:honest", false, at); admitted != 1 || a.probe.number == 0 {
		t.Errorf("%d of them probe, and another caller does not: %+v", admitted, a)
	}
	c.succeeded(at)
	if c.open.Load() || c.wasters != nil {
		t.Error("not closed, or somebody is remembered")
	}
}

// Requests that were under way when it opened fail later, one by one.
func TestLateFailuresDoNotPutTheProbeOff(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := newTestCircuit()
	at = at.Add(time.Minute)
	for range circuitFailures {
		c.failed(op, false, probe{}, "x", at)
	}
	for range 20 {
		at = at.Add(100 * time.Millisecond)
		c.failed(op, false, probe{}, "x", at)
	}
	if a := c.admit(op, "unix:a", false, at); a.probe.number == 0 {
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
		c.failed(bad, true, probe{}, "zitadel answered 503", at)
	}
	if a := c.admit(bad, "unix:a", false, at); a.ok {
		t.Errorf("the operation that fails: %+v", a)
	}
	if a := c.admit(good, "unix:a", false, at); !a.ok || a.probe.number != 0 {
		t.Errorf("another operation: %+v", a)
	}
	c.failed(good, true, probe{}, "zitadel answered 503", at)
	if a := c.admit(good, "unix:a", false, at); a.ok {
		t.Errorf("once two fail: %+v", a)
	}
}

func TestAClosedCircuitAllocatesNothing(t *testing.T) {
	op := new(operation.Operation)
	c, at, _ := newTestCircuit()
	if n := testing.AllocsPerRun(100, func() { c.admit(op, "unix:a", false, at); c.succeeded(at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
