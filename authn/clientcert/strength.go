package clientcert

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// minRSA is the least size of an RSA key, in bits: 112 bits of security, as NIST
// SP 800-131A section 3 wants. crypto/tls accepts 1024.
const minRSA = 2048

// weakKey says what is wrong with a public key, "" if it is strong enough.
func weakKey(key any) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA {
			return fmt.Sprintf("an RSA key of %d bits", n)
		}
		return ""
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return ""
		}
		return "a key on the curve " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return ""
	}
	return fmt.Sprintf("a key of an unknown kind (%T)", key)
}

// weakSignature reports whether a is none of the algorithms that are accepted,
// so that a new one is refused until it is listed.
func weakSignature(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
		return false
	}
	return true
}

// checkStrength checks what crypto/x509 does not: it takes keys of any size.
func checkStrength(c *x509.Certificate) error {
	if what := weakKey(c.PublicKey); what != "" {
		return refuse(ReasonWeakKey, "%s has %s; use RSA of %d bits or more, P-256, P-384, P-521 or Ed25519", describe(c), what, minRSA)
	}
	if weakSignature(c.SignatureAlgorithm) {
		return refuse(ReasonWeakSignature, "%s is signed with %s; have it issued anew with SHA-256 or better, or with Ed25519", describe(c), c.SignatureAlgorithm)
	}
	return nil
}
