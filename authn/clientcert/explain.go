package clientcert

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// explain finds the reason for a refusal of [x509.Certificate.Verify], which
// mostly says no more than that no authority is known. It refuses in any case.
func (t *trust) explain(certs []*x509.Certificate, now time.Time, verified error) error {
	leaf := certs[0]
	var invalid x509.CertificateInvalidError
	if errors.As(verified, &invalid) {
		switch invalid.Reason {
		case x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage:
			return refuse(ReasonUsage, "a CA of the chain of %s may not issue for clientAuth; have another CA issue it", describe(leaf))
		case x509.CANotAuthorizedForThisName, x509.UnconstrainedName, x509.TooManyConstraints, x509.NameConstraintsWithoutSANs:
			return refuse(ReasonNameConstraint, "a CA of the chain of %s may not give its names (%.200s); have another CA issue it", describe(leaf), verified)
		}
	}
	if err := t.climb(certs, now); err != nil {
		return err
	}
	return refuse(ReasonUntrusted, "%s: %.300s; have a CA of %s issue it, or add its CA there", describe(leaf), verified, t.name)
}

// climb goes from the leaf to its issuer and on, and returns the first fault.
func (t *trust) climb(certs []*x509.Certificate, now time.Time) error {
	cas := slices.Concat(t.all, certs[1:])
	for i, c := 0, certs[0]; i < maxSent; i++ {
		if err := checkStrength(c); err != nil {
			return err
		}
		next, err := t.parentOf(c, issuers(cas, c.RawIssuer), now, i)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(t.revoked, next.Equal) {
			return refuse(ReasonRevoked, "%s, a CA of %s, is on a CRL of its issuer; have another CA issue the certificate", describe(next), t.name)
		}
		if slices.ContainsFunc(t.all, next.Equal) {
			return nil
		}
		c = next
	}
	return nil
}

// parentOf returns the one of the parents that issued c, below which there are
// CAs already.
func (t *trust) parentOf(c *x509.Certificate, parents []*x509.Certificate, now time.Time, below int) (*x509.Certificate, error) {
	if len(parents) == 0 {
		return nil, refuse(ReasonUntrusted, "%s was issued by %.80q, which is not in %s, and the caller did not send it; send the intermediate CAs too, or add the CA there", describe(c), c.Issuer, t.name)
	}
	var fault error
	for _, parent := range parents {
		err := parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
		if err != nil && weakKey(parent.PublicKey) == "" {
			continue // another CA of that name
		}
		if err := checkParent(c, parent, now, below); err != nil {
			fault = err
			continue
		}
		return parent, nil
	}
	if fault == nil {
		fault = refuse(ReasonUntrusted, "%s was not signed by the CA %.80q, only in its name; have a CA of %s issue it", describe(c), c.Issuer, t.name)
	}
	return nil, fault
}

// checkParent says why parent, whose key signed c, cannot have issued it.
func checkParent(c, parent *x509.Certificate, now time.Time, below int) error {
	switch {
	case !parent.BasicConstraintsValid || !parent.IsCA:
		return refuse(ReasonUntrusted, "%s, which issued %s, is no CA; have a CA issue it", describe(parent), describe(c))
	case parent.KeyUsage != 0 && parent.KeyUsage&x509.KeyUsageCertSign == 0:
		return refuse(ReasonUntrusted, "%s, which issued %s, may sign no certificates (keyCertSign); have another CA issue it", describe(parent), describe(c))
	case parent.MaxPathLen >= 0 && below > parent.MaxPathLen:
		return refuse(ReasonUntrusted, "%s may have %d CAs below it and has %d; have a CA further up issue the certificate", describe(parent), parent.MaxPathLen, below)
	}
	if weakKey(parent.PublicKey) != "" {
		return checkStrength(parent)
	}
	if err := checkValidity(parent, now); err != nil {
		return err
	}
	return checkExtensions(parent)
}
