package acme_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/zproxy/zproxy/internal/acme"
)

// stored puts a certificate into c's storage as an earlier run left it there.
func stored(t *testing.T, c acme.Config, pair tls.Certificate, name string) {
	t.Helper()
	key := certmagic.NewACMEIssuer(new(certmagic.Config), certmagic.ACMEIssuer{CA: c.Directory}).IssuerKey()
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pemBlock("CERTIFICATE", der)...)
	}
	secret, err := certmagic.PEMEncodePrivateKey(pair.PrivateKey)
	check(t, err)
	for path, text := range map[string][]byte{
		certmagic.StorageKeys.SiteCert(key, name):       chain,
		certmagic.StorageKeys.SitePrivateKey(key, name): secret,
		certmagic.StorageKeys.SiteMeta(key, name):       []byte(`{"sans":["` + name + `"]}`),
	} {
		path = filepath.Join(c.Storage, path)
		check(t, os.MkdirAll(filepath.Dir(path), 0o700))
		check(t, os.WriteFile(path, text, 0o600))
	}
}

// offline is an edge that serves a stored certificate of issuer; no authority exists.
func offline(t *testing.T, issuer throwaway, hosts ...string) (*edge, *acme.Manager) {
	t.Helper()
	e := newEdge(t)
	c := acme.Config{Hosts: hosts, Directory: "https://127.0.0.1:1/dir", Storage: filepath.Join(t.TempDir(), "acme")}
	for _, name := range hosts {
		stored(t, c, issuer.server(t, name), name)
	}
	m := mustNew(t, c)
	e.serve(m)
	return e, m
}

func TestEveryHandshakeButTheCheckDemandsAClientCertificate(t *testing.T) {
	issuer := newCA(t, "issuer")
	e, _ := offline(t, issuer, host)
	for _, protocols := range [][]string{nil, {"http/1.1"}, {"h2"}, {"acme-tls/1", "h2"}, {"http/1.1", "acme-tls/1"}} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c, err := tls.Dial("tcp", e.socket.Addr().String(), &tls.Config{
				RootCAs: issuer.pool(), ServerName: host, NextProtos: protocols, MinVersion: version, MaxVersion: version,
			})
			if err != nil {
				continue // TLS 1.2 tells in the handshake
			}
			// TLS 1.3 tells with the first read.
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := io.ReadAll(c); err == nil {
				t.Errorf("%v, version %x: no client certificate was demanded", protocols, version)
			}
			_ = c.Close()
		}
	}
	if e.served.Load() != 0 {
		t.Error("a request without client certificate was served")
	}
	if _, err := e.get(issuer.pool(), host); err != nil {
		t.Errorf("a caller with its certificate: %v", err)
	}
}

func TestNoCheckIsAnsweredThatIsNotPending(t *testing.T) {
	e, _ := offline(t, newCA(t, "issuer"), host)
	for _, name := range []string{host, "other.example.com"} {
		c, err := tls.Dial("tcp", e.socket.Addr().String(), &tls.Config{
			InsecureSkipVerify: true, ServerName: name, NextProtos: []string{"acme-tls/1"},
		})
		if err == nil {
			_ = c.Close()
			t.Errorf("%s: the handshake succeeded", name)
		}
	}
}

// A pending check lets anyone finish a handshake without a client certificate.
// What is sent over it then must reach no handler, nor must it leave a session
// that another handshake could go on with.
func TestNothingIsServedOverTheConnectionOfACheck(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	finished, versions := 0, []uint16{tls.VersionTLS12, tls.VersionTLS13}
	sessions := new(kept)
	for end := time.Now().Add(30 * time.Second); !ready(m)() && time.Now().Before(end); {
		version := versions[finished%2]
		c, err := tls.Dial("tcp", e.socket.Addr().String(), &tls.Config{
			InsecureSkipVerify: true, ServerName: host, NextProtos: []string{"acme-tls/1"},
			MinVersion: version, MaxVersion: version, ClientSessionCache: sessions,
		})
		if err != nil {
			continue
		}
		finished++
		check(t, c.SetDeadline(time.Now().Add(5*time.Second)))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if r, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			t.Fatalf("the answer is %s", r.Status)
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatal("the connection stays open")
		}
		_ = c.Close()
	}
	if finished == 0 {
		t.Error("no handshake fell into the check: nothing was tested")
	}
	if e.served.Load() != 0 {
		t.Error("a request was served")
	}
	if n := sessions.n.Load(); n != 0 {
		t.Errorf("%d sessions to be resumed", n)
	}
	t.Logf("%d handshakes without client certificate", finished)
}

// kept counts sessions that a server lets its client resume.
type kept struct{ n atomic.Int64 }

func (k *kept) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

func (k *kept) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		k.n.Add(1)
	}
}

func TestCertificatesAreChosenByHostAlone(t *testing.T) {
	issuer := newCA(t, "issuer")
	e, m := offline(t, issuer, host, "second.example.com")
	for name, want := range map[string]string{
		host: host, "second.example.com": "second.example.com", "": host, "ZProxy.Example.COM": host,
	} {
		c, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if c.Leaf.DNSNames[0] != want {
			t.Errorf("%q gets the certificate of %s", name, c.Leaf.DNSNames[0])
		}
	}
	for _, name := range []string{"other.example.com", "x." + host, "*.example.com", host + ".", "example.com", strings.Repeat("a", 1000)} {
		_, err := m.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if !errors.Is(err, acme.ErrUnknownHost) || len(err.Error()) > 500 {
			t.Errorf("%.50q: %v", name, err)
		}
	}
	if _, err := e.get(issuer.pool(), "other.example.com"); err == nil {
		t.Error("a handshake for another name succeeded")
	}
}

func TestTheAnswerOfTheBaseDecidesOverOtherHandshakes(t *testing.T) {
	m := mustNew(t, acme.Config{Hosts: []string{host}, Storage: filepath.Join(t.TempDir(), "acme")})
	inner := &tls.Config{GetCertificate: m.GetCertificate, ClientAuth: tls.RequireAnyClientCert}
	config := m.TLSConfig(&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }})
	for _, hello := range []*tls.ClientHelloInfo{
		{ServerName: host}, {SupportedProtos: []string{"acme-tls/1"}},
		{ServerName: host, SupportedProtos: []string{"h2"}},
		{ServerName: host, SupportedProtos: []string{"acme-tls/1", "h2"}},
		{ServerName: host, SupportedProtos: []string{"h2", "acme-tls/1"}},
	} {
		if got, err := config.GetConfigForClient(hello); err != nil || got != inner {
			t.Errorf("%q %v: the base was not asked (%v)", hello.ServerName, hello.SupportedProtos, err)
		}
	}
	got, err := config.GetConfigForClient(&tls.ClientHelloInfo{ServerName: host, SupportedProtos: []string{"acme-tls/1"}})
	check(t, err)
	if got == inner || got.ClientAuth != tls.NoClientCert || !got.SessionTicketsDisabled {
		t.Errorf("the check gets %+v", got)
	}
}

func TestWithoutABaseTheConfigurationIsUsable(t *testing.T) {
	m := mustNew(t, acme.Config{Hosts: []string{host}, Storage: filepath.Join(t.TempDir(), "acme")})
	config := m.TLSConfig(nil)
	if config.MinVersion != tls.VersionTLS12 || config.GetCertificate == nil || config.GetConfigForClient == nil {
		t.Errorf("%+v", config)
	}
}
