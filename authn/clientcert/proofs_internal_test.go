package clientcert

import (
	"crypto/x509"
	"encoding/binary"
	"testing"
	"time"
)

func TestRememberedProofsAreBoundedAndEnd(t *testing.T) {
	var p proofs
	now := time.Unix(1000, 0)
	var key [32]byte
	for i := range uint32(3 * maxProofs) {
		binary.BigEndian.PutUint32(key[:], i)
		p.keep(key, &proof{from: now, until: now.Add(time.Minute)})
		if len(p.held) > maxProofs {
			t.Fatalf("%d are held", len(p.held))
		}
	}
	for offset, holds := range map[time.Duration]bool{-time.Second: false, 0: true, time.Minute: true, time.Minute + 1: false} {
		if got := p.find(key, now.Add(offset)) != nil; got != holds {
			t.Errorf("after %v: %v", offset, got)
		}
	}
}

// Two chains must not be taken for one because their bytes run on alike.
func TestWhatWasSentIsToldApart(t *testing.T) {
	of := func(all ...string) [32]byte {
		var certs []*x509.Certificate
		for _, raw := range all {
			certs = append(certs, &x509.Certificate{Raw: []byte(raw)})
		}
		return keyOf(certs)
	}
	seen := make(map[[32]byte]bool)
	for _, key := range [][32]byte{of("ab"), of("a", "b"), of("b", "a"), of("", "ab"), of("ab", ""), of("a"), of()} {
		if seen[key] {
			t.Errorf("%x is of two chains", key)
		}
		seen[key] = true
	}
}
