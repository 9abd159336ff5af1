package clientcert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// epoch is the time of the tests' certificates: an hour ago they began, in an hour they end.
var epoch = time.Now().Truncate(time.Second)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spec is a certificate to be issued, with the key that it is for.
type spec struct {
	x509.Certificate
	key crypto.Signer    // that the handshake is signed with
	pub crypto.PublicKey // if the certificate is for another one
}

type option func(*spec)

// issued is a certificate with its key and those above it but the root's.
type issued struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain [][]byte
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	check(t, err)
	return key
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	check(t, err)
	return key
}

// issue makes a certificate; a nil parent makes it sign itself.
func issue(t testing.TB, parent *issued, s *spec, options []option) *issued {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	check(t, err)
	s.SerialNumber, s.NotBefore, s.NotAfter = serial, epoch.Add(-time.Hour), epoch.Add(time.Hour)
	for _, o := range options {
		o(s)
	}
	if s.key == nil {
		s.key = ecKey(t, elliptic.P256())
	}
	if s.pub == nil {
		s.pub = s.key.Public()
	}
	above, signer := &s.Certificate, s.key
	if parent != nil {
		above, signer = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &s.Certificate, above, s.pub, signer)
	check(t, err)
	made := &issued{key: s.key, chain: [][]byte{der}}
	made.cert, err = x509.ParseCertificate(der)
	if err != nil { // the fault is one that Go finds by itself
		made.cert = nil
	}
	if parent != nil && !bytes.Equal(parent.cert.RawIssuer, parent.cert.RawSubject) {
		made.chain = append(made.chain, parent.chain...)
	}
	return made
}

func newCA(t testing.TB, parent *issued, name string, options ...option) *issued {
	t.Helper()
	return issue(t, parent, &spec{Certificate: x509.Certificate{
		Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}}, options)
}

// newLeaf makes a caller's certificate that is good, and then what options make of it.
func (ca *issued) newLeaf(t testing.TB, options ...option) *issued {
	t.Helper()
	return issue(t, ca, &spec{Certificate: x509.Certificate{
		Subject: pkix.Name{CommonName: "crm.acme.internal"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}}, append([]option{names(uri(crm))}, options...))
}

const crm = "spiffe://acme.internal/crm"

// names sets the subject alternative names, byte by byte.
func names(all ...[]byte) option {
	return func(s *spec) {
		value, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join(all, nil)})
		if err != nil {
			panic(err)
		}
		s.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}
	}
}

func general(tag int, compound bool, value string) []byte {
	b, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: compound, Bytes: []byte(value)})
	if err != nil {
		panic(err)
	}
	return b
}

func uri(s string) []byte { return general(6, false, s) }
func dns(s string) []byte { return general(2, false, s) }

func noNames(s *spec) { s.ExtraExtensions = nil }

func critical(s *spec) {
	s.ExtraExtensions = append(s.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}})
}

func withKey(key crypto.Signer) option { return func(s *spec) { s.key = key } }

// forKey makes a certificate for a key that the other end need not have: the
// certificate is refused before the signature is looked at.
func forKey(pub crypto.PublicKey) option { return func(s *spec) { s.pub = pub } }

func usages(all ...x509.ExtKeyUsage) option { return func(s *spec) { s.ExtKeyUsage = all } }
func keyUsage(u x509.KeyUsage) option       { return func(s *spec) { s.KeyUsage = u } }
func signedWith(a x509.SignatureAlgorithm) option {
	return func(s *spec) { s.SignatureAlgorithm = a }
}
func between(from, to time.Duration) option {
	return func(s *spec) { s.NotBefore, s.NotAfter = epoch.Add(from), epoch.Add(to) }
}

// crlOption changes a list before it is signed.
type crlOption func(*x509.RevocationList)

func revoking(all ...*issued) crlOption {
	return func(l *x509.RevocationList) {
		for _, c := range all {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.cert.SerialNumber, RevocationTime: epoch.Add(-time.Minute)})
		}
	}
}

func lasting(from, to time.Duration) crlOption {
	return func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = epoch.Add(from), epoch.Add(to) }
}

// newCRL makes the DER of a list of ca, signed by another key if signer is not ca.
func newCRL(t testing.TB, ca, signer *issued, options ...crlOption) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: epoch.Add(-time.Hour), NextUpdate: epoch.Add(time.Hour)}
	for _, o := range options {
		o(l)
	}
	issuer := *ca.cert
	issuer.PublicKey = signer.key.Public()
	issuer.KeyUsage |= x509.KeyUsageCRLSign
	der, err := x509.CreateRevocationList(rand.Reader, l, &issuer, signer.key)
	check(t, err)
	return der
}

func pemOf(kind string, all ...[]byte) []byte {
	var text []byte
	for _, der := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return text
}

func certPEM(all ...*issued) []byte {
	var text []byte
	for _, c := range all {
		text = append(text, pemOf("CERTIFICATE", c.chain[0])...)
	}
	return text
}

// withMD5 signs c anew as nobody should. Go does not, so the algorithm's
// identifier is changed, which differs in its last byte, and the rest by hand.
func withMD5(t testing.TB, c *issued, signer *rsa.PrivateKey) *issued {
	t.Helper()
	oid := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01}
	der := bytes.ReplaceAll(c.chain[0], append(oid, 0x0b), append(oid, 0x04))
	var parts struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	_, err := asn1.Unmarshal(der, &parts)
	check(t, err)
	sum := md5.Sum(parts.TBS.FullBytes)
	parts.Signature.Bytes, err = rsa.SignPKCS1v15(rand.Reader, signer, crypto.MD5, sum[:])
	check(t, err)
	der, err = asn1.Marshal(parts)
	check(t, err)
	c.chain[0] = der
	return c
}
