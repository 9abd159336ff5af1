package listener_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/listener"
)

// made is a certificate with its key, in PEM.
type made struct {
	cert, key string
	serial    int64
}

func makeCertificate(t *testing.T, serial int64, change func(*x509.Certificate)) made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return made{block("CERTIFICATE", der), block("PRIVATE KEY", secret), serial}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// pairFiles are the files of a certificate and its key.
type pairFiles struct {
	t         *testing.T
	cert, key string
}

func (p pairFiles) write(cert, key string) {
	p.t.Helper()
	check(p.t, os.WriteFile(p.cert, []byte(cert), 0o600))
	check(p.t, os.WriteFile(p.key, []byte(key), 0o600))
}

func newPairFiles(t *testing.T) pairFiles {
	dir := t.TempDir()
	return pairFiles{t, filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")}
}

func serves(t *testing.T, c *listener.Certificate, want made) {
	t.Helper()
	got, err := c.Get(nil)
	if check(t, err); got.Leaf.SerialNumber.Int64() != want.serial {
		t.Errorf("certificate %d is served, want %d", got.Leaf.SerialNumber, want.serial)
	}
}

// What is half written, or replaced by half, leaves the old in use and says what
// is wrong; once the other half is there, it is taken.
func TestHalfOfANewCertificateIsNotTaken(t *testing.T) {
	old, fresh := makeCertificate(t, 1, nil), makeCertificate(t, 2, nil)
	chain := makeCertificate(t, 3, nil).cert
	damaged := block("CERTIFICATE", []byte{0x30, 0})
	for what, c := range map[string]struct{ cert, key, says string }{
		"the certificate first":            {fresh.cert, old.key, "private key does not match public key"},
		"the key first":                    {old.cert, fresh.key, "private key does not match public key"},
		"half of the certificate":          {fresh.cert[:len(fresh.cert)/2], fresh.key, "failed to find any PEM data"},
		"half of the key":                  {fresh.cert, fresh.key[:len(fresh.key)/2], "failed to find any PEM data"},
		"an empty certificate":             {"", fresh.key, "failed to find any PEM data"},
		"an empty key":                     {fresh.cert, "", "failed to find any PEM data"},
		"half of the chain":                {fresh.cert + chain[:len(chain)/2], fresh.key, "of its 2 certificates 1 are whole"},
		"half of a certificate in between": {fresh.cert + chain[:len(chain)/2] + "\n" + chain, fresh.key, "are whole"},
		"a chain that is none":             {fresh.cert + damaged, fresh.key, "certificate 2"},
		"the files for each other":         {fresh.key, fresh.cert, "PEM"},
	} {
		f := newPairFiles(t)
		f.write(old.cert, old.key)
		loaded, err := listener.NewCertificate(f.cert, f.key)
		check(t, err)
		f.write(c.cert, c.key)
		for range 2 { // it is said as long as it is so
			if changed, err := loaded.Reload(); changed || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), f.cert) {
				t.Errorf("%s: %v %v", what, changed, err)
			}
		}
		serves(t, loaded, old)
		if _, err := listener.NewCertificate(f.cert, f.key); err == nil {
			t.Errorf("%s: is good enough at start", what)
		}
		f.write(fresh.cert+chain, fresh.key)
		if changed, err := loaded.Reload(); !changed || err != nil {
			t.Errorf("%s: the whole is not taken: %v %v", what, changed, err)
		}
		serves(t, loaded, fresh)
		if changed, err := loaded.Reload(); changed || err != nil {
			t.Errorf("%s: the same again: %v %v", what, changed, err)
		}
	}
}

// One file may have both.
func TestACertificateAndItsKeyMayBeInOneFile(t *testing.T) {
	f, both := newPairFiles(t), makeCertificate(t, 1, nil)
	f.write(both.cert+both.key, "")
	loaded, err := listener.NewCertificate(f.cert, f.cert)
	check(t, err)
	serves(t, loaded, both)
}

// What no caller would accept is refused when it is put in place.
func TestCertificatesThatNoCallerAcceptsAreNotTaken(t *testing.T) {
	old := makeCertificate(t, 1, nil)
	for says, change := range map[string]func(*x509.Certificate){
		"ended at":    func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
		"begins at":   func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) },
		"no subject":  func(c *x509.Certificate) { c.DNSNames = nil },
		"for servers": func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
	} {
		f := newPairFiles(t)
		f.write(old.cert, old.key)
		loaded, err := listener.NewCertificate(f.cert, f.key)
		check(t, err)
		bad := makeCertificate(t, 2, change)
		f.write(bad.cert, bad.key)
		if changed, err := loaded.Reload(); changed || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v %v", says, changed, err)
		}
		serves(t, loaded, old)
	}
}
