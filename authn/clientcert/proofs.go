package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"

	"github.com/zproxy/zproxy/authn"
)

// proof is what verified certificates prove, and from when until when they do.
type proof struct {
	id          authn.Identity
	from, until time.Time
}

func (p *proof) holds(now time.Time) bool { return !now.Before(p.from) && !now.After(p.until) }

// narrow takes from p the time outside from and until.
func (p *proof) narrow(from, until time.Time) {
	if from.After(p.from) {
		p.from = from
	}
	if p.until.IsZero() || until.Before(p.until) {
		p.until = until
	}
}

// maxProofs bounds the memory that callers can fill. When it is full all is
// forgotten, and costs a verification again.
const maxProofs = 4096

// proofs remembers what was verified under one snapshot, so that each request
// can be judged anew without checking signatures anew. Refusals are not kept.
type proofs struct {
	mu   sync.RWMutex
	held map[[sha256.Size]byte]*proof
}

func (p *proofs) find(key [sha256.Size]byte, now time.Time) *proof {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if found := p.held[key]; found != nil && found.holds(now) {
		return found
	}
	return nil
}

func (p *proofs) keep(key [sha256.Size]byte, found *proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil || len(p.held) >= maxProofs {
		p.held = make(map[[sha256.Size]byte]*proof)
	}
	p.held[key] = found
}

// keyOf tells apart what callers sent, the whole of it: a leaf alone does not
// show by which chain it was verified.
func keyOf(certs []*x509.Certificate) [sha256.Size]byte {
	parts := make([][]byte, len(certs))
	for i, c := range certs {
		parts[i] = c.Raw
	}
	return digest(parts...)
}
