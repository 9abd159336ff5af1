package clientcert

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
)

// parseAuthorities reads the content of a CA file. It refuses what could never
// end a chain, since it would be missing where it was meant to be.
func parseAuthorities(data []byte) ([]*x509.Certificate, error) {
	blocks, err := splitPEM(data, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for i, der := range blocks {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w; write the file anew", i+1, err)
		}
		if err := checkAuthority(c); err != nil {
			return nil, fmt.Errorf("certificate %d, %.80q: %w", i+1, c.Subject, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// checkAuthority leaves validity to each verification. A CA without a key usage
// may do all that a CA does (RFC 5280 section 4.2.1.3): openssl makes such by default.
func checkAuthority(c *x509.Certificate) error {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return errors.New("it is no CA; list the certificate of the CA that issues to callers, not one that it issued")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("its key usage lets it sign no certificates; list a CA with keyCertSign")
	case len(c.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("its critical extension %s is not understood; list a CA without it", c.UnhandledCriticalExtensions[0])
	}
	if what := weakKey(c.PublicKey); what != "" {
		return fmt.Errorf("it has %s; list a CA with RSA of %d bits or more, P-256, P-384, P-521 or Ed25519", what, minRSA)
	}
	return nil
}

// issuers are the certificates of all that could have signed what name issued.
func issuers(all []*x509.Certificate, name []byte) []*x509.Certificate {
	var found []*x509.Certificate
	for _, c := range all {
		if bytes.Equal(c.RawSubject, name) {
			found = append(found, c)
		}
	}
	return found
}
