package clientcert

import (
	"bytes"
	"crypto/x509"
	"time"
)

// checkRevocation looks c up in the lists of its issuer. A list counts only by
// the issuer's signature, and while it holds; being on one counts even when it
// has ended, for what is revoked stays so.
func (r revocations) checkRevocation(c, issuer *x509.Certificate, now time.Time, found *proof) error {
	var why error
	current := false
	for _, l := range r.all {
		if !bytes.Equal(l.list.RawIssuer, issuer.RawSubject) {
			continue
		}
		if err := l.signedBy(issuer); err != nil {
			why = refuse(ReasonRevocationUnknown, "the CRL of %.80q was not signed by that CA, or the CA may not sign one (%v); fetch the list from the CA", issuer.Subject, err)
			continue
		}
		if l.lists(c.SerialNumber) {
			return refuse(ReasonRevoked, "%s is on the CRL of %.80q; have another one issued, if the caller may have one", describe(c), issuer.Subject)
		}
		switch {
		case now.Before(l.list.ThisUpdate):
			why = refuse(ReasonRevocationUnknown, "the CRL of %.80q begins %s; compare the clocks of the CA and of this machine", issuer.Subject, l.list.ThisUpdate.Format(time.RFC3339))
		case now.After(l.list.NextUpdate):
			why = refuse(ReasonRevocationUnknown, "the CRL of %.80q ended %s; fetch a newer one into crl_file", issuer.Subject, l.list.NextUpdate.Format(time.RFC3339))
		default:
			current = true
			found.narrow(l.list.ThisUpdate, l.list.NextUpdate)
		}
	}
	switch {
	case current:
		return nil
	case why != nil:
		return why
	}
	return refuse(ReasonRevocationUnknown, "crl_file has no CRL of %.80q, which issued %s; add it", issuer.Subject, describe(c))
}
