package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	perSecond   = 200 // calls of a load
	perReload   = 20  // of them, between two reloads at least
	certReloads = 20
)

// Certificates and lists are replaced twenty times under 200 calls a second, over
// connections that are kept and over new ones: no call fails, and each
// certificate is served. Where the machine is too slow for so many, all takes
// longer, and each reload has its share of calls still.
func TestReloadsLoseNoRequest(t *testing.T) {
	m := startMesh(t)
	crm := m.issue(spiffeID("spiffe://acme.internal/crm"))
	calls, begin := m.load(8, crm), time.Now()
	for i := range certReloads {
		made := m.issue(forServer)
		cert, key := pair(t, made)
		replace(t, filepath.Join(m.dir, "server.key"), key) // for a moment it is not the certificate's
		replace(t, filepath.Join(m.dir, "server.crt"), cert)
		replace(t, filepath.Join(m.dir, "ca.crl"), m.revoke(int64(i+2)))
		check(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		calls.waitFor(made.Leaf)
		calls.waitForCalls(int64(i+1) * perReload)
	}
	took := time.Since(begin)
	calls.end()
	made, rate := calls.calls.Load(), float64(calls.calls.Load())/took.Seconds()
	t.Logf("%d calls in %s, %.0f a second, %d reloads", made, took.Round(time.Millisecond), rate, certReloads)
	if made < certReloads*perReload {
		t.Errorf("%d calls, %d are the least", made, certReloads*perReload)
	}
	if os.Getenv("ZPROXY_LONG_RELOAD") != "" && rate < 0.9*perSecond {
		t.Errorf("%.0f calls a second, %d are the load", rate, perSecond)
	}
}

// load are calls that go on and on, and all must be answered.
type load struct {
	t       *testing.T
	stop    func()
	running sync.WaitGroup
	calls   atomic.Int64
	failed  atomic.Pointer[string]
	served  sync.Map // serial numbers of server certificates that were seen
}

// load calls perSecond times a second from several clients, as those who hold
// certs in turn, half of them by HTTP/2.
func (m *mesh) load(clients int, certs ...tls.Certificate) *load {
	ctx, cancel := context.WithCancel(m.t.Context())
	l := &load{t: m.t, stop: cancel}
	pace := time.NewTicker(time.Second / perSecond)
	for i := range clients {
		l.running.Go(func() {
			for ctx.Err() == nil {
				client := m.client(&certs[i%len(certs)], i < clients/2)
				for range 10 {
					select {
					case <-pace.C:
						l.call(m, client)
					case <-ctx.Done():
					}
				}
				client.CloseIdleConnections()
			}
		})
	}
	m.t.Cleanup(func() { cancel(); l.running.Wait(); pace.Stop() })
	return l
}

// waitForCalls waits until so many were made.
func (l *load) waitForCalls(n int64) {
	l.t.Helper()
	eventually(l.t, "calls between two reloads", func() bool { return l.calls.Load() >= n || l.failed.Load() != nil })
}

func (l *load) call(m *mesh, client *http.Client) {
	l.calls.Add(1)
	res, text, err := m.list(client)
	if err != nil || res.StatusCode != 200 {
		said := fmt.Sprint(text, err)
		l.failed.CompareAndSwap(nil, &said)
		return
	}
	l.served.Store(res.TLS.PeerCertificates[0].SerialNumber.String(), true)
}

// waitFor waits until somebody was served with this certificate.
func (l *load) waitFor(c *x509.Certificate) {
	l.t.Helper()
	for range 6000 {
		if _, ok := l.served.Load(c.SerialNumber.String()); ok || l.failed.Load() != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	l.t.Fatal("the new certificate was not served within 30 s")
}

// end stops calling, and fails the test if any call failed.
func (l *load) end() {
	l.t.Helper()
	l.stop()
	l.running.Wait()
	if said := l.failed.Load(); said != nil {
		l.t.Errorf("of %d calls some failed, the first: %s", l.calls.Load(), *said)
	}
}
