package acme

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const (
	// While the authority cannot be reached or has trouble of its own, asking
	// costs nothing, and its return is noticed soon.
	firstPause = time.Second
	maxPause   = 16 * time.Second // 20 s with its jitter

	// A refusal does not go away by asking again, and counts: Let's Encrypt
	// allows five failed checks of a host in an hour.
	firstRefusalPause = time.Minute
	maxRefusalPause   = 12 * time.Minute // 15 min with its jitter
)

// pause doubles with each failure in a row, a quarter more or less at random so
// that instances that failed together do not return together. A certificate
// that ends soon is not waited for longer than an eighth of what it has left.
func pause(failures int, refused bool, left time.Duration) time.Duration {
	first, limit := firstPause, maxPause
	if refused {
		first, limit = firstRefusalPause, maxRefusalPause
	}
	if left > 0 {
		limit = min(limit, max(left/8, maxPause))
	}
	d := limit
	if failures < 10 {
		d = min(first<<max(failures-1, 0), limit)
	}
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}

// refused is whether the authority answered, and will answer the same again. A
// rejected nonce and trouble of its own (RFC 8555 section 6.7) are no refusals.
func refused(err error) bool {
	var p acme.Problem
	if !errors.As(err, &p) {
		return false
	}
	switch p.Type {
	case acme.ProblemTypeBadNonce, acme.ProblemTypeServerInternal:
		return false
	}
	return p.Status < 500
}
