package acme_test

import (
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
	a := newAuthority(t, e.port(), authorityOptions{lifetime: 9 * time.Second})
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
	a := newAuthority(t, e.port(), authorityOptions{lifetime: 15 * time.Second})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	a.down()
	l := newLoad(e, a, 2)
	until(t, "a renewal that failed", 30*time.Second, func() bool { return m.Status()[0].Failures > 0 })
	if s := m.Status()[0]; !s.Ready(time.Now()) || s.Err == nil || time.Now().Before(s.RenewAt) {
		t.Errorf("the status is %+v", s)
	}
	a.up()
	until(t, "the renewal", 30*time.Second, func() bool { return m.Status()[0].Err == nil })
	until(t, "the new certificate is seen", 5*time.Second, func() bool { return l.certificates() == 2 })
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
