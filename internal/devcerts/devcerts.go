// Package devcerts makes a throw-away certificate authority with a server's and
// callers' certificates, for trying out client certificates and for tests.
package devcerts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/zproxy/zproxy/authn"
)

// Lifetime is how long everything lasts.
const Lifetime = 30 * 24 * time.Hour

// Config says what to make.
type Config struct {
	// Servers are DNS names and IP addresses of the server's certificate. If
	// empty, localhost and the loopback addresses.
	Servers []string
	// Callers are identities: spiffe://<trust domain>/<path>, dns:<name>.
	Callers []string
	// SystemUsers are names of users of the System API. Each gets a key pair:
	// <name>.pem for zproxy, <name>.pub for ZITADEL.
	SystemUsers []string
	// Now is when everything begins.
	Now time.Time
}

// File is one file to be written: PEM.
type File struct {
	Name    string
	Content []byte
	Secret  bool // a private key
}

// Caller is where the certificate of one caller is.
type Caller struct{ Identity, CertificateFile, KeyFile string }

// Bundle is all that was made. The authority's key is not in it: nobody can
// have more issued by what is left over.
type Bundle struct {
	Files   []File
	Callers []Caller
}

// The names of the files that are always there.
const (
	CAFile     = "ca.crt"
	ServerFile = "server.crt"
	ServerKey  = "server.key"
)

// Make makes everything, or says what is wrong with c.
func Make(c Config) (*Bundle, error) {
	if len(c.Callers) == 0 {
		return nil, errors.New("making certificates: no caller is named; name one: spiffe://acme.internal/crm")
	}
	if len(c.Servers) == 0 {
		c.Servers = []string{"localhost", "127.0.0.1", "::1"}
	}
	ca, err := newAuthority(c.Now)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Files: []File{{Name: CAFile, Content: encode("CERTIFICATE", ca.certificate.Raw)}}}
	if err := b.add(ca, "server", func(t *x509.Certificate) error { return server(t, c.Servers) }); err != nil {
		return nil, err
	}
	taken := map[string]bool{"ca": true, "server": true}
	for _, identity := range c.Callers {
		name := unused(identity, taken)
		if err := b.add(ca, name, func(t *x509.Certificate) error { return caller(t, identity) }); err != nil {
			return nil, err
		}
		b.Callers = append(b.Callers, Caller{identity, name + ".crt", name + ".key"})
	}
	for _, name := range c.SystemUsers {
		if err := b.addSystemUser(name); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// add issues a certificate and its key.
func (b *Bundle) add(ca *authority, name string, fill func(*x509.Certificate) error) error {
	certificate, key, err := ca.issue(fill)
	if err != nil {
		return err
	}
	b.Files = append(b.Files, File{name + ".crt", certificate, false}, File{name + ".key", key, true})
	return nil
}

// authority issues certificates while it is in memory.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	begin       time.Time
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, begin: now.Add(-time.Minute)} // for clocks that are a little behind
	t, err := a.template()
	if err != nil {
		return nil, err
	}
	t.Subject = pkix.Name{CommonName: "zproxy throw-away authority, not for production"}
	t.IsCA, t.KeyUsage, t.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making the authority: %w", err)
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

func (a *authority) template() (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, NotBefore: a.begin, NotAfter: a.begin.Add(Lifetime), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}, nil
}

func (a *authority) issue(fill func(*x509.Certificate) error) (certificate, private []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t, err := a.template()
	if err != nil {
		return nil, nil, err
	}
	if err := fill(t); err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("making certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", secret), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func server(t *x509.Certificate, names []string) error {
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		if _, err := authn.ParseCaller("dns:" + name); err != nil {
			return fmt.Errorf("making the server's certificate: %q is neither a DNS name in lower case nor an IP address", name)
		}
		t.DNSNames = append(t.DNSNames, name)
	}
	return nil
}

// caller gives t the one name that makes the caller, and no other.
func caller(t *x509.Certificate, identity string) error {
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	c, err := authn.ParseCaller(identity)
	if err != nil {
		return fmt.Errorf("making a caller's certificate: %w", err)
	}
	switch c.Kind() {
	case authn.KindSPIFFE:
		u, err := url.Parse(identity)
		if err != nil {
			return fmt.Errorf("making a caller's certificate: %w", err)
		}
		t.URIs = []*url.URL{u}
	case authn.KindDNS:
		t.DNSNames = []string{strings.TrimPrefix(identity, "dns:")}
	default:
		return fmt.Errorf("making a caller's certificate: %q is no name that a certificate has; write spiffe://<trust domain>/<path> or dns:<name>", identity)
	}
	return nil
}

// unused is a file name that no other has: the identity's last part.
func unused(identity string, taken map[string]bool) string {
	base := identity[strings.LastIndexAny(identity, "/:")+1:]
	if base == "" {
		base = "caller"
	}
	name := base
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	taken[name] = true
	return name
}
