package clientcert

import (
	"crypto/x509"
)

// trust are the CAs that chains may end in: those of the CA file, or of the
// bundle of one trust domain.
type trust struct {
	name    string              // for refusals
	all     []*x509.Certificate // as they are listed
	anchors *x509.CertPool      // of them, those that are not revoked
	revoked []*x509.Certificate // the others
	lists   revocations
}

// newTrust takes from the anchors those that are revoked. Intermediate CAs are
// often listed too; chains would end in them, and their own issuer's list would
// never be looked at.
func newTrust(name string, all []*x509.Certificate, lists revocations) *trust {
	t := &trust{name: name, all: all, anchors: x509.NewCertPool(), lists: lists}
	for _, ca := range all {
		if lists.revoke(ca, all) {
			t.revoked = append(t.revoked, ca)
			continue
		}
		t.anchors.AddCert(ca)
	}
	return t
}
