package clientcert_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// certWith returns a certificate whose subject alternative name is value, or
// nil if crypto/x509 does not read it.
func certWith(t testing.TB, key ed25519.PrivateKey, value []byte) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "crm.acme.internal"}, NotBefore: epoch, NotAfter: epoch,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return c
}

// oracle is what crypto/x509 reads of c in another way.
func oracle(c *x509.Certificate, kind authn.Kind) (names []string) {
	if kind == authn.KindDNS {
		for _, name := range c.DNSNames {
			names = append(names, "dns:"+name)
		}
		return names
	}
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}

func FuzzNamesAreTheCertificatesByteForByte(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(f, err)
	for _, all := range [][][]byte{
		{uri(crm)}, {dns("crm.acme.internal")}, {uri(crm), dns("a.b")}, {uri("SPIFFE://a/b")}, {uri("spiffe://a/%62")}, {uri("spiffe://a:1/b?c#d")},
		{dns("a.b\x00")}, {dns("*.a")}, {dns("10.0.0.1")}, {uri("dns:a")}, {uri(crm), uri(crm)}, {general(7, false, "\x01\x02\x03\x04")}, {general(6, true, "x")},
	} {
		s := new(spec)
		names(all...)(s)
		f.Add(s.ExtraExtensions[0].Value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c := certWith(t, key, value)
		if c == nil {
			return
		}
		for _, kinds := range [][]authn.Kind{spiffe, host, both} {
			caller, err := clientcert.Name(c, kinds...)
			if err != nil {
				if refused, ok := clientcert.Refusal(err); !ok || refused.Reason != clientcert.ReasonIdentity || !caller.IsZero() {
					t.Fatalf("%x: caller %q with %v", value, caller, err)
				}
				continue
			}
			var candidates []string
			for _, kind := range kinds {
				candidates = append(candidates, oracle(c, kind)...)
			}
			if len(candidates) != 1 || candidates[0] != caller.String() {
				t.Fatalf("%x: caller %q of %q", value, caller, candidates)
			}
			if again, err := authn.ParseCaller(caller.String()); err != nil || again != caller {
				t.Fatalf("%q is read as %q, %v", caller, again, err)
			}
			if name, ok := strings.CutPrefix(caller.String(), "dns:"); !strings.Contains(string(value), caller.String()) && (!ok || !strings.Contains(string(value), name)) {
				t.Fatalf("%x does not have %q", value, caller)
			}
		}
	})
}

// What is read of a CRL or CA file must not panic, whatever stands in it.
func FuzzFilesAreReadOrRefused(f *testing.F) {
	w := newWorld(f)
	w.start(spiffe, certPEM(w.root), w.listsOf())
	f.Add(certPEM(w.root), w.listsOf(w.inter.newLeaf(f)))
	f.Add(certPEM(w.root, w.inter), newCRL(f, w.root, w.root))
	f.Fuzz(func(t *testing.T, cas, lists []byte) {
		w := &world{t: t, ca: w.ca, crl: w.crl}
		w.write(w.ca, cas)
		w.write(w.crl, lists)
		v, err := clientcert.New(clientcert.Config{CAFile: w.ca, CRLFile: w.crl, Identity: both})
		if (v == nil) == (err == nil) {
			t.Fatalf("%v with %v", v, err)
		}
		if v == nil {
			return
		}
		if _, ok := v.NextUpdate(); !ok {
			t.Fatal("a CRL file without a list was taken")
		}
	})
}
