package workload

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestRememberedProofsAreBoundedAndEndWithTheirKeys(t *testing.T) {
	now := time.Unix(1000, 0)
	i := &Issuer{clock: func() time.Time { return now }}
	keys := &keySet{byID: map[string]key{"a": {}}}
	i.state.Store(&state{keys: keys, fetched: now})
	var p proofs
	var sum [32]byte
	for n := range uint32(3 * maxProofs) {
		binary.BigEndian.PutUint32(sum[:], n)
		p.keep(sum, &proof{by: i, keys: keys})
		if len(p.held) > maxProofs {
			t.Fatalf("%d are held", len(p.held))
		}
	}
	holds := func(want bool) {
		t.Helper()
		if (p.find(sum) != nil) != want {
			t.Errorf("holds: %v", !want)
		}
	}
	holds(true)
	now = now.Add(maxAge)
	holds(false)
	i.state.Store(&state{keys: keys, fetched: now}) // confirmed
	holds(true)
	i.state.Store(&state{keys: &keySet{byID: keys.byID}, fetched: now}) // other keys
	holds(false)
}
