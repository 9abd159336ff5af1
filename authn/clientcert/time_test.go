package clientcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// What was verified is remembered no longer than the first of all that it rests on lasts.
func TestNothingOutlivesItsEnd(t *testing.T) {
	soon := between(-time.Hour, time.Minute)
	for name, test := range map[string]struct {
		reason authn.Reason
		make   func(w *world) *issued
		root   crlOption
		inter  crlOption
	}{
		"leaf":            {reason: clientcert.ReasonExpired, make: leafOf(soon)},
		"intermediate CA": {reason: clientcert.ReasonExpired, make: func(w *world) *issued { w.inter = newCA(t, w.root, "Acme Workloads", soon); return w.inter.newLeaf(t) }},
		"root": {reason: clientcert.ReasonExpired, make: func(w *world) *issued {
			w.root = newCA(t, nil, "R", soon)
			w.inter = newCA(t, w.root, "I")
			return w.inter.newLeaf(t)
		}},
		"list of the intermediate CA": {reason: clientcert.ReasonRevocationUnknown, make: leafOf(), inter: lasting(-time.Hour, time.Minute)},
		"list of the root":            {reason: clientcert.ReasonRevocationUnknown, make: leafOf(), root: lasting(-time.Hour, time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			caller := test.make(w)
			same := func(*x509.RevocationList) {}
			root, inter := crlOption(same), crlOption(same)
			if test.root != nil {
				root = test.root
			}
			if test.inter != nil {
				inter = test.inter
			}
			v := w.start(spiffe, certPEM(w.root), pemOf("X509 CRL", newCRL(t, w.root, w.root, root), newCRL(t, w.inter, w.inter, inter)))
			state, err := shake(t, v.ServerConfig(serverBase(t)), clientConfig(caller, tls.VersionTLS13, nil))
			check(t, err)
			w.offset.Store(int64(time.Minute))
			check(t, v.Check(state))
			for range 2 {
				w.offset.Store(int64(time.Minute + time.Second))
				if refused, ok := clientcert.Refusal(v.Check(state)); !ok || refused.Reason != test.reason {
					t.Errorf("a second after: %v", v.Check(state))
				}
			}
		})
	}
}

// Callers choose among their certificates by the names of CAs that they are told.
func TestHintsAreThoseOfTheFileInUse(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			next := newCA(t, nil, "Next Root")
			v := w.start(spiffe, certPEM(w.root), nil)
			config := v.ServerConfig(serverBase(t))
			hint := func() (names []string) {
				c := clientConfig(nil, version, nil)
				c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					for _, ca := range r.AcceptableCAs {
						names = append(names, string(ca))
					}
					return &tls.Certificate{}, nil
				}
				_, _ = shake(t, config, c)
				return names
			}
			if got := hint(); len(got) != 1 || got[0] != string(w.root.cert.RawSubject) {
				t.Errorf("%q", got)
			}
			w.write(w.ca, certPEM(next, w.root))
			_, err := v.Reload()
			check(t, err)
			if got := hint(); len(got) != 2 || got[0] != string(next.cert.RawSubject) {
				t.Errorf("after a reload: %q", got)
			}
			var many []*issued
			for range 101 {
				many = append(many, newCA(t, nil, "One of many"))
			}
			w.write(w.ca, certPEM(many...))
			_, err = v.Reload()
			check(t, err)
			if got := hint(); len(got) != 0 {
				t.Errorf("%d names are sent", len(got))
			}
		})
	}
}

// A connection that was good for a while is ended once, even if what runs on it stays.
func TestEndedConnectionsAreReportedOnce(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			addr, reports := serve(t, w.start(spiffe, certPEM(w.root), w.listsOf()))
			caller := w.inter.newLeaf(t)
			res, err := client(t, caller, proto).Get("https://" + addr + "/stuck")
			check(t, err)
			defer res.Body.Close()
			time.Sleep(1200 * time.Millisecond) // swept as good
			w.revoke(caller)
			_, err = io.ReadAll(res.Body)
			if got := <-reports; err == nil || got.refused.Reason != clientcert.ReasonRevoked {
				t.Errorf("reported %+v after %v", got, err)
			}
			time.Sleep(2200 * time.Millisecond)
			if len(reports) > 0 {
				t.Errorf("reported again: %+v", <-reports)
			}
		})
	}
}

func TestConnectionsWithoutTLSAreNobodysMatter(t *testing.T) {
	w := newWorld(t)
	conns := w.start(spiffe, certPEM(w.root), nil).NewConnections(nil)
	a, b := net.Pipe()
	defer a.Close()
	for _, state := range []http.ConnState{http.StateNew, http.StateActive, http.StateClosed} {
		conns.ConnState(a, state)
	}
	check(t, b.Close())
}
