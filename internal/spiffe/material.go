package spiffe

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/zproxy/zproxy/authn/clientcert"
)

// material is what the Workload API gave at one moment. It is never changed.
type material struct {
	id          string
	certificate *tls.Certificate // nil: none
	bundles     []clientcert.Bundle
}

// ended reports whether m's SVID holds no more.
func (m *material) ended(now time.Time) bool {
	return m.certificate != nil && now.After(m.certificate.Leaf.NotAfter)
}

// take makes material of an answer. The SVID is the first one, which is the
// default identity (Workload API section 5.3). If it is no good, the error says
// why, and that of old stays; the bundles count even so. An answer without the
// bundle of the SVID's own trust domain is discarded (section 4.5).
func take(answer *workloadapi.X509Context, old *material, now time.Time) (*material, error) {
	svid := answer.DefaultSVID()
	if own, err := answer.Bundles.GetX509BundleForTrustDomain(svid.ID.TrustDomain()); err != nil || own.Empty() {
		return old, fmt.Errorf("its answer was discarded: it has no trust bundle of %s, the trust domain of its own X.509-SVID; look at the agent", svid.ID.TrustDomain().Name())
	}
	m := &material{id: old.id, certificate: old.certificate}
	for _, b := range answer.Bundles.Bundles() {
		m.bundles = append(m.bundles, clientcert.Bundle{TrustDomain: b.TrustDomain().Name(), Authorities: b.X509Authorities()})
	}
	if err := forServers(svid, now); err != nil {
		return m, fmt.Errorf("the X.509-SVID %s %w", svid.ID, err)
	}
	m.id, m.certificate = svid.ID.String(), &tls.Certificate{PrivateKey: svid.PrivateKey, Leaf: svid.Certificates[0]}
	for _, c := range svid.Certificates {
		m.certificate.Certificate = append(m.certificate.Certificate, c.Raw)
	}
	return m, nil
}

// forServers refuses what no caller would accept, as is done for files.
func forServers(svid *x509svid.SVID, now time.Time) error {
	leaf := svid.Certificates[0]
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("ended at %s; look at the agent, and compare the clocks", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("begins at %s; compare the clocks", leaf.NotBefore.UTC().Format(time.RFC3339))
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth):
		return fmt.Errorf("is not for servers (extended key usage); have it issued for server authentication")
	}
	return nil
}
