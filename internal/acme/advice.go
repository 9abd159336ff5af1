package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

const (
	adviceLimit    = 10 * time.Second // of one question
	adviceInterval = 6 * time.Hour    // unless the authority names another
	adviceRetry    = time.Hour        // after a failure
	adviceAbsent   = 24 * time.Hour   // of an authority that gives none

	// adviceShare is the part of its lifetime that a certificate serves at
	// least: an authority that advises to renew whatever it issues, at once,
	// is not asked for certificates without end.
	adviceShare = 1.0 / 1000
)

// advice is when the authority would have a certificate renewed (RFC 9773). It
// says so early before it revokes certificates in bulk.
type advice struct {
	of   *tls.Certificate
	at   time.Time // zero: it has not said
	next time.Time // when to ask again
}

// advise asks the authority about the certificate of h, if it is time to. An
// authority that does not answer changes nothing: advice only renews earlier.
func (m *Manager) advise(ctx context.Context, e engine, h *host) {
	c := h.cert.Load()
	old := h.advised()
	if c == nil || old.of == c && time.Now().Before(old.next) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, adviceLimit)
	defer cancel()
	info, err := e.acme.GetRenewalInfo(ctx, certmagic.Certificate{Certificate: *c})
	latest := advice{of: c}
	switch {
	case errors.Is(err, acme.ErrUnsupported):
		latest.next = time.Now().Add(adviceAbsent)
	case err != nil:
		latest.next = time.Now().Add(adviceRetry)
		if old.of == c {
			latest.at = old.at
		}
		m.log.Debug().Err(err).Str("host", h.name).Msg("the authority gives no advice when to renew")
	default:
		latest.at, latest.next = earliest(c, info.SelectedTime), nextQuestion(info.RetryAfter)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advice = latest
}

// earliest puts off advice for a certificate that is new.
func earliest(c *tls.Certificate, at time.Time) time.Time {
	least := c.Leaf.NotBefore.Add(time.Duration(float64(c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)) * adviceShare))
	if at.Before(least) {
		return least
	}
	return at
}

// nextQuestion keeps the authority's wish within bounds (RFC 9773 section 4.3.3).
func nextQuestion(after *time.Time) time.Time {
	if after == nil {
		return time.Now().Add(adviceInterval)
	}
	wait := min(max(time.Until(*after), time.Minute), adviceAbsent)
	return time.Now().Add(wait)
}

func (h *host) advised() advice {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.advice
}

// forget makes each Run ask anew: much may have happened since the last.
func (h *host) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advice = advice{}
}

// renewAt is when to renew the certificate c of h: in time, or earlier if the
// authority advised so.
func (h *host) renewAt(c *tls.Certificate) time.Time {
	at := renewAt(c)
	if a := h.advised(); a.of == c && !a.at.IsZero() && a.at.Before(at) {
		return a.at
	}
	return at
}
