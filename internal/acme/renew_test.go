package acme_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load makes handshakes until stop is called, each with a connection of its own
// and verified as a caller does; it counts those that failed and the different
// certificates seen.
type load struct {
	handshakes, failed atomic.Int64
	mu                 sync.Mutex
	serials            map[string]bool
	firstError         error
	done               chan struct{}
	wg                 sync.WaitGroup
}

func newLoad(e *edge, a *authority, workers int) *load {
	l := &load{serials: make(map[string]bool), done: make(chan struct{})}
	for range workers {
		l.wg.Go(func() {
			for {
				select {
				case <-l.done:
					return
				case <-time.After(10 * time.Millisecond):
				}
				chain, err := e.get(a.roots(0), host)
				l.handshakes.Add(1)
				l.mu.Lock()
				if err == nil {
					l.serials[chain[0].SerialNumber.String()] = true
				} else if l.failed.Add(1) == 1 {
					l.firstError = err
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) certificates() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.serials)
}

func (l *load) stop(t *testing.T) {
	t.Helper()
	close(l.done)
	l.wg.Wait()
	t.Logf("%d handshakes, %d failed, %d certificates", l.handshakes.Load(), l.failed.Load(), len(l.serials))
	if l.failed.Load() > 0 {
		t.Errorf("%d of %d handshakes failed, first: %v", l.failed.Load(), l.handshakes.Load(), l.firstError)
	}
}

func TestRenewalUnderLoadFailsNoHandshake(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{lifetime: 15 * time.Second})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	l := newLoad(e, a, 4)
	until(t, "three certificates", 60*time.Second, func() bool { return l.certificates() >= 3 })
	l.stop(t)
}

func TestTheOldCertificateServesWhileTheAuthorityIsDownAtRenewal(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{lifetime: 24 * time.Second})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	a.down()
	l := newLoad(e, a, 2)
	until(t, "a renewal that failed", 60*time.Second, func() bool { return m.Status()[0].Failures > 0 })
	if s := m.Status()[0]; !s.Ready(time.Now()) || s.Err == nil || time.Now().Before(s.RenewAt) {
		t.Errorf("the status is %+v", s)
	}
	a.up()
	until(t, "the renewal", 30*time.Second, func() bool { return m.Status()[0].Err == nil })
	until(t, "the new certificate is seen", 5*time.Second, func() bool { return l.certificates() >= 2 })
	l.stop(t)
}

// A machine that slept, or a process that was stopped for long, comes back with
// a certificate that ended.
func TestAnExpiredCertificateIsReplacedAtStart(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	c := e.config(a)
	old := newCA(t, "old").issue(t, host, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour), serverUsage)
	stored(t, c, old, host)
	m := mustNew(t, c)
	e.serve(m)
	if s := m.Status()[0]; s.Ready(time.Now()) || s.NotAfter.IsZero() {
		t.Errorf("before Run: %+v", s)
	}
	run(t, m)
	until(t, "a new certificate", 30*time.Second, ready(m))
	_, err := e.get(a.roots(0), host)
	check(t, err)
}

// renewNow is the advice that goes before a revocation in bulk (RFC 9773).
func renewNow() string {
	now := time.Now().UTC()
	return fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q}}`,
		now.Add(-2*time.Hour).Format(time.RFC3339), now.Add(-time.Hour).Format(time.RFC3339))
}

func TestTheAuthoritysAdviceToRenewIsFollowed(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{lifetime: 10 * time.Minute})
	c := e.config(a)
	m := mustNew(t, c)
	e.serve(m)
	stop := run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	old, err := e.get(a.roots(0), host)
	check(t, err)
	stop()

	a.options.advice = renewNow()
	roots := a.roots(0)
	a.down()
	a.found()
	a.up()
	run(t, m)
	until(t, "another certificate", 30*time.Second, func() bool {
		chain, err := e.get(a.roots(0), host)
		return err == nil && !chain[0].Equal(old[0])
	})
	if _, err := e.get(roots, host); err == nil {
		t.Error("the certificate is still one of the authority before")
	}
}

func TestAdviceToRenewWithoutEndIsNotFollowed(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{lifetime: 90 * 24 * time.Hour, advice: renewNow()})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	until(t, "advice", 10*time.Second, func() bool {
		s := m.Status()[0]
		return s.RenewAt.Before(s.NotBefore.Add(24 * time.Hour))
	})
	if s := m.Status()[0]; s.RenewAt.Before(time.Now().Add(time.Hour)) {
		t.Errorf("the new certificate is renewed at %v", s.RenewAt)
	}
}

// An authority that was set up anew knows none of its accounts.
func TestAnAccountThatTheAuthorityForgotIsMadeAgain(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{lifetime: 12 * time.Second})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	a.down()
	a.found()
	a.up()
	until(t, "a certificate of the new authority", 40*time.Second, func() bool {
		_, err := e.get(a.roots(0), host)
		return err == nil
	})
}
