package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

// certificatePointer is what a handshake reads: one load, no lock, no disk.
type certificatePointer = atomic.Pointer[tls.Certificate]

// renewalShare is the part of its lifetime that a certificate has left when it
// is renewed.
const renewalShare = 1.0 / 3

// renewAt is when to renew c. certmagic counts the whole last second of the
// validity, and must come to the same answer.
func renewAt(c *tls.Certificate) time.Time {
	end := c.Leaf.NotAfter.Truncate(time.Second).Add(time.Second)
	return end.Add(-time.Duration(float64(end.Sub(c.Leaf.NotBefore)) * renewalShare))
}

// errUnusable is of what the storage holds and no handshake could use: a write
// that a crash cut in two, or a file of somebody else's making.
var errUnusable = errors.New("the stored certificate is unusable")

// load takes the certificate of h from the storage, and reports whether there
// was one. It keeps what h has if that was issued later: which of two ends
// first says nothing, since authorities shorten the lifetimes they issue.
func (m *Manager) load(h *host) (bool, error) {
	ctx := context.Background() // reading a file cannot be called off
	chain, err := m.store.Load(ctx, certmagic.StorageKeys.SiteCert(m.key, h.name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the certificate of %s: %w", h.name, err)
	}
	key, err := m.store.Load(ctx, certmagic.StorageKeys.SitePrivateKey(m.key, h.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("reading the key of %s: %w", h.name, err)
	}
	c, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return false, fmt.Errorf("reading the certificate of %s: %w: %w", h.name, errUnusable, err)
	}
	if err := c.Leaf.VerifyHostname(h.name); err != nil {
		return false, fmt.Errorf("reading the certificate of %s: %w: %w", h.name, errUnusable, err)
	}
	if now := h.cert.Load(); now == nil || !c.Leaf.Equal(now.Leaf) && !c.Leaf.NotBefore.Before(now.Leaf.NotBefore) {
		h.cert.Store(&c)
	}
	return true, nil
}
