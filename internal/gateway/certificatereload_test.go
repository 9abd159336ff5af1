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

// Certificates and lists are replaced twenty times under load, over connections
// that are kept and over new ones: no call fails, and each certificate is served.
func TestReloadsLoseNoRequest(t *testing.T) {
	m := startMesh(t)
	crm := m.issue(spiffeID("spiffe://acme.internal/crm"))
	calls := m.load(4, crm)
	for i := range 20 {
		made := m.issue(forServer)
		cert, key := pair(t, made)
		replace(t, filepath.Join(m.dir, "server.key"), key) // for a moment it is not the certificate's
		replace(t, filepath.Join(m.dir, "server.crt"), cert)
		replace(t, filepath.Join(m.dir, "ca.crl"), m.revoke(int64(i+2)))
		check(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		calls.waitFor(made.Leaf)
	}
	calls.end()
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

// load calls from several clients, as those who hold certs in turn, half of them by HTTP/2.
func (m *mesh) load(clients int, certs ...tls.Certificate) *load {
	ctx, cancel := context.WithCancel(m.t.Context())
	l := &load{t: m.t, stop: cancel}
	for i := range clients {
		l.running.Go(func() {
			for ctx.Err() == nil {
				client := m.client(&certs[i%len(certs)], i < clients/2)
				for range 5 {
					l.call(m, client)
				}
				client.CloseIdleConnections()
			}
		})
	}
	m.t.Cleanup(func() { cancel(); l.running.Wait() })
	return l
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
