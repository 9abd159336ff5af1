package clientcert_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	spiffe = []authn.Kind{authn.KindSPIFFE}
	host   = []authn.Kind{authn.KindDNS}
	both   = []authn.Kind{authn.KindSPIFFE, authn.KindDNS}
)

// world is a CA with an intermediate CA, and a verifier with its files.
type world struct {
	t           testing.TB
	root, inter *issued
	ca, crl     string // paths
	offset      atomic.Int64
	verifier    *clientcert.Verifier
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, ca: filepath.Join(dir, "ca.crt"), crl: filepath.Join(dir, "ca.crl")}
	w.root = newCA(t, nil, "Acme Root")
	w.inter = newCA(t, w.root, "Acme Workloads")
	return w
}

func (w *world) now() time.Time { return epoch.Add(time.Duration(w.offset.Load())) }

func (w *world) write(path string, data []byte) {
	w.t.Helper()
	check(w.t, os.WriteFile(path+".new", data, 0o600))
	check(w.t, os.Rename(path+".new", path))
}

// start makes the verifier; without lists none is configured.
func (w *world) start(kinds []authn.Kind, cas []byte, lists []byte) *clientcert.Verifier {
	w.t.Helper()
	c := clientcert.Config{CAFile: w.ca, Identity: kinds, Clock: w.now}
	w.write(w.ca, cas)
	if lists != nil {
		c.CRLFile = w.crl
		w.write(w.crl, lists)
	}
	var err error
	w.verifier, err = clientcert.New(c)
	check(w.t, err)
	return w.verifier
}

// serverBase has the server's own certificate, which is nobody's matter here.
func serverBase(t testing.TB) *tls.Config {
	t.Helper()
	ca := newCA(t, nil, "server")
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: ca.chain, PrivateKey: ca.key}}}
}

func clientConfig(c *issued, version uint16, sessions tls.ClientSessionCache) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ClientSessionCache: sessions, ServerName: "zproxy.test",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c == nil {
				return &tls.Certificate{}, nil
			}
			return &tls.Certificate{Certificate: c.chain, PrivateKey: c.key}, nil
		},
	}
}

// shake makes a real handshake over loopback, and hands a byte to the client so
// that it reads its session ticket. It returns the server's end of it.
func shake(t testing.TB, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.ReadAll(tls.Client(c, client)) // to the alert, or to the end
	}()
	defer func() { <-ended }()
	c, err := l.Accept()
	check(t, err)
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	s := tls.Server(c, server)
	if err := s.HandshakeContext(context.Background()); err != nil {
		return s.ConnectionState(), err
	}
	_, err = s.Write([]byte{1})
	check(t, err)
	check(t, s.CloseWrite())
	return s.ConnectionState(), nil
}

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// fault is a certificate with one fault, and what is said of it.
type fault struct {
	name   string
	reason authn.Reason
	detail string // a part of it
	make   func(w *world) *issued
	kinds  []authn.Kind          // nil is SPIFFE
	roots  func(w *world) []byte // nil is the root
	lists  func(w *world) []byte // after make; nil is no CRL file
}

func refuseAll(t *testing.T, faults []fault) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t)
			caller := f.make(w)
			kinds, cas, lists := spiffe, certPEM(w.root), []byte(nil)
			if f.kinds != nil {
				kinds = f.kinds
			}
			if f.roots != nil {
				cas = f.roots(w)
			}
			if f.lists != nil {
				lists = f.lists(w)
			}
			config := w.start(kinds, cas, lists).ServerConfig(serverBase(t))
			for version, v := range versions {
				_, err := shake(t, config, clientConfig(caller, v, nil))
				refused, ok := clientcert.Refusal(err)
				if !ok || refused.Reason != f.reason || !strings.Contains(refused.Detail, f.detail) || !strings.Contains(refused.Detail, "; ") {
					t.Errorf("%s: refused %v by %q, want %s with %q", version, ok, err, f.reason, f.detail)
				}
			}
		})
	}
}
