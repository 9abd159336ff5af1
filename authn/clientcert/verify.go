package clientcert

import (
	"crypto/x509"
	"slices"
	"time"
)

// maxSent is how many certificates a caller may send, its own among them.
const maxSent = 10

// verify returns what certs, leaf first, prove at a time. An error is an *authn.Error.
func (s *snapshot) verify(certs []*x509.Certificate, now time.Time) (*proof, error) {
	if len(certs) == 0 {
		return nil, refuse(ReasonMissing, "the caller sent none; send one, with its private key")
	}
	if len(certs) > maxSent {
		return nil, refuse(ReasonUntrusted, "the caller sent %d certificates; send its own and the intermediate CAs', %d at most", len(certs), maxSent)
	}
	key := keyOf(certs)
	if found := s.proofs.find(key, now); found != nil {
		return found, nil
	}
	found, err := s.prove(certs, now)
	if err != nil {
		return nil, err
	}
	s.proofs.keep(key, found)
	return found, nil
}

func (s *snapshot) prove(certs []*x509.Certificate, now time.Time) (*proof, error) {
	leaf := certs[0]
	if err := checkLeaf(leaf, now); err != nil {
		return nil, err
	}
	t, err := s.trustIn(leaf)
	if err != nil {
		return nil, err
	}
	intermediates := x509.NewCertPool()
	for _, c := range slices.Concat(certs[1:], t.revoked) {
		intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: t.anchors, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, t.explain(certs, now, err)
	}
	found, err := t.checkChains(chains, now)
	if err != nil {
		return nil, err
	}
	if found.id.Caller, err = Name(leaf, s.kinds...); err != nil {
		return nil, err
	}
	found.id.Thumbprint = Thumbprint(leaf)
	return found, nil
}

// checkLeaf checks what the leaf shows by itself.
func checkLeaf(leaf *x509.Certificate, now time.Time) error {
	if err := checkValidity(leaf, now); err != nil {
		return err
	}
	if err := checkStrength(leaf); err != nil {
		return err
	}
	if err := checkExtensions(leaf); err != nil {
		return err
	}
	return checkUsage(leaf)
}

func checkValidity(c *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return refuse(ReasonNotYetValid, "%s begins %s; wait, or compare the clocks of the CA and of this machine", describe(c), c.NotBefore.Format(time.RFC3339))
	case now.After(c.NotAfter):
		return refuse(ReasonExpired, "%s ended %s; renew it", describe(c), c.NotAfter.Format(time.RFC3339))
	}
	return nil
}

func checkExtensions(c *x509.Certificate) error {
	if len(c.UnhandledCriticalExtensions) > 0 {
		return refuse(ReasonMalformed, "%s has the critical extension %s, which is not understood; have it issued without", describe(c), c.UnhandledCriticalExtensions[0])
	}
	return nil
}

// checkUsage wants the usage said: to crypto/x509 a certificate that has no
// extended key usage is good for all. A CA's certificate is no caller's (X.509
// SVID section 4.1), and the key must be for signing (RFC 8446 section 4.4.2.2).
func checkUsage(leaf *x509.Certificate) error {
	signs := x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	switch {
	case leaf.IsCA:
		return refuse(ReasonUsage, "%s is a CA's; send one that the CA issued to the caller", describe(leaf))
	case leaf.KeyUsage&signs != 0:
		return refuse(ReasonUsage, "%s has the key usage of a CA; have it issued with digitalSignature", describe(leaf))
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return refuse(ReasonUsage, "%s has not the key usage digitalSignature; have it issued with it", describe(leaf))
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return refuse(ReasonUsage, "%s has not the extended key usage clientAuth; have it issued with it", describe(leaf))
	}
	return nil
}

// checkChains is content with one good chain: where CAs certify each other
// there are several. If all are bad the first tells why.
func (t *trust) checkChains(chains [][]*x509.Certificate, now time.Time) (*proof, error) {
	var first error
	for _, chain := range chains {
		found := new(proof)
		err := t.checkChain(chain, now, found)
		if err == nil {
			return found, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// checkChain checks all but the anchor, which is trusted as it is.
func (t *trust) checkChain(chain []*x509.Certificate, now time.Time, found *proof) error {
	if len(chain) < 2 {
		return refuse(ReasonUsage, "%s is itself in %s; send one that a CA issued to the caller", describe(chain[0]), t.name)
	}
	for i, c := range chain {
		found.narrow(c.NotBefore, c.NotAfter)
		if i == len(chain)-1 {
			break
		}
		if err := checkStrength(c); err != nil {
			return err
		}
		if !t.lists.check {
			continue
		}
		if err := t.lists.checkRevocation(c, chain[i+1], now, found); err != nil {
			return err
		}
	}
	return nil
}
