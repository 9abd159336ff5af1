package clientcert_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/clientcert"
)

// leafOf makes the fault in the leaf, caOf in an intermediate CA above a good leaf.
func leafOf(options ...option) func(*world) *issued {
	return func(w *world) *issued { return w.inter.newLeaf(w.t, options...) }
}

func caOf(options ...option) func(*world) *issued {
	return func(w *world) *issued { return newCA(w.t, w.root, "Acme Other", options...).newLeaf(w.t) }
}

// spoil changes bytes of a good leaf.
func spoil(change func([]byte) []byte) func(*world) *issued {
	return func(w *world) *issued {
		c := w.inter.newLeaf(w.t)
		c.chain[0] = change(bytes.Clone(c.chain[0]))
		return c
	}
}

func modulus(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

func TestFaultsOfTheChain(t *testing.T) {
	refuseAll(t, []fault{
		{name: "no certificate", reason: clientcert.ReasonMissing, make: func(*world) *issued { return nil }},
		{name: "another CA", reason: clientcert.ReasonUntrusted, detail: "not in ca_file", make: func(w *world) *issued { return newCA(w.t, nil, "Evil").newLeaf(w.t) }},
		{name: "another CA of the same name", reason: clientcert.ReasonUntrusted, detail: "only in its name", make: func(w *world) *issued { return newCA(w.t, nil, "Acme Root").newLeaf(w.t) }},
		{name: "another intermediate CA of the same name", reason: clientcert.ReasonUntrusted, detail: "only in its name", make: func(w *world) *issued {
			c := newCA(w.t, newCA(w.t, nil, "Acme Root"), "Acme Workloads").newLeaf(w.t)
			c.chain[1] = w.inter.chain[0]
			return c
		}},
		{name: "intermediate CA missing", reason: clientcert.ReasonUntrusted, detail: "did not send it", make: func(w *world) *issued {
			c := w.inter.newLeaf(w.t)
			c.chain = c.chain[:1]
			return c
		}},
		{name: "signed by itself", reason: clientcert.ReasonUntrusted, make: func(w *world) *issued { return (*issued)(nil).newLeaf(w.t) }},
		{name: "CA without CA bit", reason: clientcert.ReasonUntrusted, detail: "is no CA", make: caOf(func(s *spec) { s.IsCA, s.KeyUsage = false, 0 })},
		{name: "CA without basic constraints", reason: clientcert.ReasonUntrusted, detail: "is no CA", make: caOf(func(s *spec) { s.IsCA, s.BasicConstraintsValid = false, false })},
		{name: "CA without keyCertSign", reason: clientcert.ReasonUntrusted, detail: "keyCertSign", make: caOf(keyUsage(x509.KeyUsageCRLSign))},
		{name: "caller issues for others", reason: clientcert.ReasonUntrusted, detail: "is no CA", make: func(w *world) *issued { return w.inter.newLeaf(w.t).newLeaf(w.t) }},
		{name: "path too long", reason: clientcert.ReasonUntrusted, detail: "may have 0 CAs below it and has 1", make: func(w *world) *issued {
			short := newCA(w.t, w.root, "Short", func(s *spec) { s.MaxPathLenZero = true })
			return newCA(w.t, short, "Below").newLeaf(w.t)
		}},
		{name: "too many certificates", reason: clientcert.ReasonUntrusted, detail: "sent 12 certificates", make: func(w *world) *issued {
			c := w.inter.newLeaf(w.t)
			for range 10 {
				c.chain = append(c.chain, w.inter.chain[0])
			}
			return c
		}},
		{name: "signature changed", reason: clientcert.ReasonUntrusted, detail: "only in its name", make: spoil(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
		{name: "name changed", reason: clientcert.ReasonUntrusted, detail: "only in its name", make: spoil(func(b []byte) []byte { return bytes.Replace(b, []byte("/crm"), []byte("/crn"), 1) })},
		{name: "bytes follow", reason: clientcert.ReasonMalformed, make: spoil(func(b []byte) []byte { return append(b, 0) })},
		{name: "cut short", reason: clientcert.ReasonMalformed, make: spoil(func(b []byte) []byte { return b[:len(b)-1] })},
		{name: "garbage", reason: clientcert.ReasonMalformed, make: spoil(func([]byte) []byte { return []byte("garbage") })},
		{name: "garbage above", reason: clientcert.ReasonMalformed, make: func(w *world) *issued {
			c := w.inter.newLeaf(w.t)
			c.chain = append(c.chain, []byte{0x30, 0})
			return c
		}},
		{name: "critical extension", reason: clientcert.ReasonMalformed, detail: "1.3.6.1.4.1.99999.1", make: leafOf(critical)},
		{name: "critical extension of a CA", reason: clientcert.ReasonMalformed, detail: "Acme Other", make: caOf(critical)},
		{name: "key of somebody else", reason: clientcert.ReasonNotProven, make: leafOf(forKey(ecKey(t, elliptic.P256()).Public()))},
	})
}

func TestFaultsOfValidity(t *testing.T) {
	expired, later := between(-2*time.Hour, -time.Minute), between(time.Minute, time.Hour)
	old := newCA(t, nil, "Old Root", expired)
	refuseAll(t, []fault{
		{name: "expired", reason: clientcert.ReasonExpired, detail: "crm.acme.internal", make: leafOf(expired)},
		{name: "not yet valid", reason: clientcert.ReasonNotYetValid, detail: "crm.acme.internal", make: leafOf(later)},
		{name: "CA expired", reason: clientcert.ReasonExpired, detail: "Acme Other", make: caOf(expired)},
		{name: "CA not yet valid", reason: clientcert.ReasonNotYetValid, detail: "Acme Other", make: caOf(later)},
		{name: "root expired", reason: clientcert.ReasonExpired, detail: "Old Root", roots: func(*world) []byte { return certPEM(old) }, make: func(w *world) *issued { return old.newLeaf(w.t) }},
		{name: "root expired above a CA", reason: clientcert.ReasonExpired, detail: "Old Root", roots: func(*world) []byte { return certPEM(old) }, make: func(w *world) *issued { return newCA(w.t, old, "Below").newLeaf(w.t) }},
	})
}

func TestFaultsOfUsage(t *testing.T) {
	refuseAll(t, []fault{
		{name: "for servers", reason: clientcert.ReasonUsage, detail: "clientAuth", make: leafOf(usages(x509.ExtKeyUsageServerAuth))},
		{name: "for mail", reason: clientcert.ReasonUsage, detail: "clientAuth", make: leafOf(usages(x509.ExtKeyUsageEmailProtection))},
		{name: "for nothing in particular", reason: clientcert.ReasonUsage, detail: "clientAuth", make: leafOf(usages())},
		{name: "for anything", reason: clientcert.ReasonUsage, detail: "clientAuth", make: leafOf(usages(x509.ExtKeyUsageAny))},
		{name: "CA for servers", reason: clientcert.ReasonUsage, detail: "a CA of the chain", make: caOf(usages(x509.ExtKeyUsageServerAuth))},
		{name: "key for encipherment", reason: clientcert.ReasonUsage, detail: "digitalSignature", make: leafOf(keyUsage(x509.KeyUsageKeyEncipherment))},
		{name: "key for certificates", reason: clientcert.ReasonUsage, detail: "of a CA", make: leafOf(keyUsage(x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign))},
		{name: "key for lists", reason: clientcert.ReasonUsage, detail: "of a CA", make: leafOf(keyUsage(x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign))},
		{name: "caller with CA bit", reason: clientcert.ReasonUsage, detail: "is a CA's", make: leafOf(func(s *spec) { s.BasicConstraintsValid, s.IsCA = true, true })},
		{name: "intermediate CA itself", reason: clientcert.ReasonUsage, detail: "is a CA's", make: func(w *world) *issued { return w.inter }},
		{name: "root itself", reason: clientcert.ReasonUsage, detail: "is a CA's", make: func(w *world) *issued { return w.root }},
	})
}

func TestFaultsOfNameConstraints(t *testing.T) {
	named := names(uri(crm), dns("crm.acme.internal"))
	under := func(constrain option) func(w *world) *issued {
		return func(w *world) *issued { return newCA(w.t, w.root, "Acme Other", constrain).newLeaf(w.t, named) }
	}
	refuseAll(t, []fault{
		{name: "host not permitted", reason: clientcert.ReasonNameConstraint, make: under(func(s *spec) { s.PermittedDNSDomains = []string{"other.internal"} })},
		{name: "host excluded", reason: clientcert.ReasonNameConstraint, make: under(func(s *spec) { s.ExcludedDNSDomains = []string{"acme.internal"} })},
		{name: "trust domain not permitted", reason: clientcert.ReasonNameConstraint, make: under(func(s *spec) { s.PermittedURIDomains = []string{"other.internal"} })},
		{name: "trust domain excluded", reason: clientcert.ReasonNameConstraint, make: under(func(s *spec) { s.ExcludedURIDomains = []string{"acme.internal"} })},
		{name: "constraint further up", reason: clientcert.ReasonNameConstraint, make: func(w *world) *issued {
			above := newCA(w.t, w.root, "Above", func(s *spec) { s.PermittedURIDomains = []string{"other.internal"} })
			return newCA(w.t, above, "Below").newLeaf(w.t)
		}},
		{name: "host of another kind than the caller's not permitted", kinds: host, reason: clientcert.ReasonNameConstraint, make: under(func(s *spec) { s.PermittedURIDomains = []string{"other.internal"} })},
	})
}

func TestFaultsOfStrength(t *testing.T) {
	small, p224, big := rsaKey(t, 1024), ecKey(t, elliptic.P224()), rsaKey(t, 2048)
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	refuseAll(t, []fault{
		{name: "RSA of 1024 bits", reason: clientcert.ReasonWeakKey, detail: "1024 bits", make: leafOf(withKey(small))},
		{name: "RSA of 2047 bits", reason: clientcert.ReasonWeakKey, detail: "2047 bits", make: leafOf(forKey(modulus(2047)))},
		{name: "RSA of 512 bits", reason: clientcert.ReasonWeakKey, detail: "512 bits", make: leafOf(forKey(modulus(512)))},
		{name: "RSA of 8200 bits", reason: clientcert.ReasonWeakKey, detail: "8192 bits", make: leafOf(forKey(modulus(8200)))},
		{name: "P-224", reason: clientcert.ReasonWeakKey, detail: "P-224", make: leafOf(forKey(p224.Public()))},
		{name: "X25519", reason: clientcert.ReasonWeakKey, detail: "unsupported public key", make: func(w *world) *issued {
			c := w.inter.newLeaf(w.t, forKey(pub)) // the identifiers differ in their last byte
			c.chain[0] = bytes.Replace(c.chain[0], []byte{0x2b, 0x65, 0x70}, []byte{0x2b, 0x65, 0x6e}, 1)
			return c
		}},
		{name: "CA with RSA of 1024 bits", reason: clientcert.ReasonWeakKey, detail: "Acme Other", make: caOf(withKey(small))},
		{name: "CA with P-224", reason: clientcert.ReasonWeakKey, detail: "Acme Other", make: caOf(withKey(p224))},
		{name: "SHA-1 with RSA", reason: clientcert.ReasonWeakSignature, detail: "SHA1", make: func(w *world) *issued {
			return newCA(t, w.root, "RSA", withKey(big)).newLeaf(t, signedWith(x509.SHA1WithRSA))
		}},
		{name: "SHA-1 with ECDSA", reason: clientcert.ReasonWeakSignature, detail: "SHA1", make: leafOf(signedWith(x509.ECDSAWithSHA1))},
		{name: "CA signed with SHA-1", reason: clientcert.ReasonWeakSignature, detail: "Acme Other", make: caOf(signedWith(x509.ECDSAWithSHA1))},
		{name: "MD5 with RSA", reason: clientcert.ReasonWeakSignature, detail: "MD5", make: func(w *world) *issued {
			return withMD5(t, newCA(t, w.root, "RSA", withKey(big)).newLeaf(t), big)
		}},
	})
}
