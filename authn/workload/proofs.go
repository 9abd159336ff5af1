package workload

import (
	"crypto/sha256"
	"sync"

	"github.com/zproxy/zproxy/authn"
)

// proof is a token whose signature was good by the keys of one set.
type proof struct {
	by     *Issuer
	keys   *keySet
	said   claims
	caller authn.Caller
}

// holds tells whether the keys are still the issuer's.
func (p *proof) holds() bool {
	st := p.by.state.Load()
	return st.keys == p.keys && st.serves(p.by.clock())
}

// maxProofs bounds the memory that issuers can fill with tokens. When it is full
// all is forgotten, and costs a verification again.
const maxProofs = 4096

// proofs remembers, by the SHA-256 of the whole token, what was verified: a
// workload shows one token for an hour, and its signature costs more than all
// else that is done for a request. What the token says is judged anew each time.
// Refusals are not kept.
type proofs struct {
	mu   sync.RWMutex
	held map[[sha256.Size]byte]*proof
}

func (p *proofs) find(sum [sha256.Size]byte) *proof {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if found := p.held[sum]; found != nil && found.holds() {
		return found
	}
	return nil
}

func (p *proofs) keep(sum [sha256.Size]byte, found *proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil || len(p.held) >= maxProofs {
		p.held = make(map[[sha256.Size]byte]*proof)
	}
	p.held[sum] = found
}
