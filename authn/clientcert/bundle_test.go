package clientcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// federation is a verifier with the bundles of trust domains.
type federation struct {
	*world
	bundles atomic.Pointer[[]clientcert.Bundle]
}

// federate starts with these bundles, and with a CRL file if there are lists.
func federate(t *testing.T, lists []byte, bundles ...clientcert.Bundle) *federation {
	t.Helper()
	f := &federation{world: newWorld(t)}
	f.bundles.Store(&bundles)
	c := clientcert.Config{Identity: spiffe, Clock: f.now, Bundles: func() []clientcert.Bundle { return *f.bundles.Load() }}
	if lists != nil {
		c.CRLFile = f.crl
		f.write(f.crl, lists)
	}
	var err error
	f.verifier, err = clientcert.New(c)
	check(t, err)
	return f
}

func (f *federation) give(bundles ...clientcert.Bundle) {
	f.t.Helper()
	f.bundles.Store(&bundles)
	changed, err := f.verifier.Reload()
	if check(f.t, err); !changed {
		f.t.Error("the bundles were not taken")
	}
}

func bundle(domain string, cas ...*issued) clientcert.Bundle {
	b := clientcert.Bundle{TrustDomain: domain}
	for _, ca := range cas {
		b.Authorities = append(b.Authorities, ca.cert)
	}
	return b
}

func TestABundleVouchesForItsOwnTrustDomainOnly(t *testing.T) {
	acme, partner := newCA(t, nil, "Acme"), newCA(t, nil, "Partner")
	below := newCA(t, partner, "Partner Workloads")
	shared := newCA(t, nil, "Shared")
	f := federate(t, nil, bundle("acme.internal", acme, shared), bundle("partner.example", partner, shared), bundle("empty.example"))
	config := f.verifier.ServerConfig(serverBase(t))
	of := func(ca *issued, id string) *issued { return ca.newLeaf(t, names(uri(id))) }
	for name, c := range map[string]struct {
		caller *issued
		reason authn.Reason
		detail string
	}{
		"its own":                             {caller: of(acme, crm)},
		"a federated one":                     {caller: of(partner, "spiffe://partner.example/billing")},
		"a federated one by an intermediate":  {caller: of(below, "spiffe://partner.example/billing")},
		"a CA of both, in one":                {caller: of(shared, crm)},
		"a CA of both, in the other":          {caller: of(shared, "spiffe://partner.example/crm")},
		"a federated CA in our name":          {of(partner, crm), clientcert.ReasonUntrusted, "the trust bundle of acme.internal"},
		"a federated intermediate, our name":  {of(below, crm), clientcert.ReasonUntrusted, "the trust bundle of acme.internal"},
		"our CA in a federated name":          {of(acme, "spiffe://partner.example/billing"), clientcert.ReasonUntrusted, "the trust bundle of partner.example"},
		"a trust domain without bundle":       {of(acme, "spiffe://other.example/crm"), clientcert.ReasonUntrusted, "no trust bundle of the trust domain"},
		"a trust domain below ours":           {of(acme, "spiffe://eu.acme.internal/crm"), clientcert.ReasonUntrusted, "no trust bundle of the trust domain"},
		"a trust domain that begins as ours":  {of(acme, "spiffe://acme.internal.evil.example/crm"), clientcert.ReasonUntrusted, "no trust bundle of the trust domain"},
		"a trust domain with an empty bundle": {of(acme, "spiffe://empty.example/crm"), clientcert.ReasonUntrusted, "no trust bundle of the trust domain"},
		"no SPIFFE ID":                        {acme.newLeaf(t, names(dns("crm.acme.internal"))), clientcert.ReasonIdentity, "none of the names"},
		"two SPIFFE IDs of two domains":       {acme.newLeaf(t, names(uri(crm), uri("spiffe://partner.example/crm"))), clientcert.ReasonIdentity, "2 URI names"},
		"a trust domain in upper case":        {of(acme, "spiffe://ACME.internal/crm"), clientcert.ReasonIdentity, "trust domain"},
		"for servers":                         {acme.newLeaf(t, usages(x509.ExtKeyUsageServerAuth)), clientcert.ReasonUsage, "clientAuth"},
		"expired":                             {acme.newLeaf(t, between(-2*time.Hour, -time.Hour)), clientcert.ReasonExpired, "ended"},
	} {
		for version, v := range versions {
			_, err := shake(t, config, clientConfig(c.caller, v, nil))
			refused, _ := clientcert.Refusal(err)
			switch {
			case c.reason == "" && err != nil:
				t.Errorf("%s, %s: %v", name, version, err)
			case c.reason != "" && (refused == nil || refused.Reason != c.reason || !strings.Contains(refused.Detail, c.detail)):
				t.Errorf("%s, %s: %v, want %s with %q", name, version, err, c.reason, c.detail)
			}
		}
	}
}

// A constraint of a CA holds in its own trust domain too.
func TestConstraintsHoldWithinATrustDomain(t *testing.T) {
	acme := newCA(t, nil, "Acme")
	f := federate(t, nil, bundle("acme.internal", acme))
	below := newCA(t, acme, "Below", func(s *spec) { s.PermittedURIDomains = []string{"other.internal"} })
	_, err := shake(t, f.verifier.ServerConfig(serverBase(t)), clientConfig(below.newLeaf(t), tls.VersionTLS13, nil))
	if refused, ok := clientcert.Refusal(err); !ok || refused.Reason != clientcert.ReasonNameConstraint {
		t.Errorf("%v", err)
	}
}

func TestBundlesThatComeAndGoCountAtOnce(t *testing.T) {
	acme, next := newCA(t, nil, "Acme"), newCA(t, nil, "Acme")
	f := federate(t, nil)
	config := f.verifier.ServerConfig(serverBase(t))
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			f.bundles.Store(&[]clientcert.Bundle{})
			_, err := f.verifier.Reload()
			check(t, err)
			first := f.resumable(version, acme.newLeaf(t))
			do := func() (tls.ConnectionState, error) { return first(config) }
			expect(t, "before any bundle", do, false, clientcert.ReasonUntrusted)
			f.give(bundle("acme.internal", acme))
			expect(t, "with a bundle", do, false, "")
			expect(t, "again", do, true, "")
			f.give(bundle("acme.internal", acme, next))
			expect(t, "with the next CA beside", do, false, "")
			expect(t, "again", do, true, "")
			f.give(bundle("acme.internal", next))
			expect(t, "without its CA", do, false, clientcert.ReasonUntrusted)
			f.give(bundle("partner.example", acme))
			expect(t, "with its CA in another domain", do, false, clientcert.ReasonUntrusted)
		})
	}
}

func TestConnectionsEndWithTheirBundle(t *testing.T) {
	acme, partner := newCA(t, nil, "Acme"), newCA(t, nil, "Partner")
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			f := federate(t, nil, bundle("acme.internal", acme), bundle("partner.example", partner))
			addr, reports := serve(t, f.verifier)
			res, err := client(t, partner.newLeaf(t, names(uri("spiffe://partner.example/billing"))), proto).Get("https://" + addr + "/stream")
			check(t, err)
			defer res.Body.Close()
			stays, err := client(t, acme.newLeaf(t), proto).Get("https://" + addr + "/stream")
			check(t, err)
			defer stays.Body.Close()
			f.give(bundle("acme.internal", acme))
			_, err = io.ReadAll(res.Body)
			if got := <-reports; err == nil || got.refused.Reason != clientcert.ReasonUntrusted || got.id.Caller.String() != "spiffe://partner.example/billing" {
				t.Errorf("reported %+v after %v", got, err)
			}
			if len(reports) > 0 {
				t.Errorf("the other domain's connection ended: %+v", <-reports)
			}
		})
	}
}

// An authority that no chain can end in is left out, and the others count.
func TestUnusableAuthoritiesAreLeftOutAndSaid(t *testing.T) {
	acme := newCA(t, nil, "Acme")
	weak := newCA(t, nil, "Weak", withKey(rsaKey(t, 1024)))
	f := federate(t, nil, bundle("acme.internal", weak, acme, acme.newLeaf(t)), bundle("partner.example", weak))
	config := f.verifier.ServerConfig(serverBase(t))
	_, err := shake(t, config, clientConfig(acme.newLeaf(t), tls.VersionTLS13, nil))
	check(t, err)
	for _, id := range []string{crm, "spiffe://partner.example/crm"} {
		if _, err := shake(t, config, clientConfig(weak.newLeaf(t, names(uri(id))), tls.VersionTLS13, nil)); err == nil {
			t.Errorf("%s of a weak CA passed", id)
		}
	}
	all := strings.Join(f.verifier.Complaints(), "\n")
	for _, want := range []string{"acme.internal: authority 1, \"CN=Weak\", is left out: it has an RSA key of 1024 bits", "acme.internal: authority 3", "it is no CA", "partner.example: authority 1"} {
		if !strings.Contains(all, want) {
			t.Errorf("complaints\n%s\nsay nothing of %q", all, want)
		}
	}
	if f.give(bundle("acme.internal", acme)); len(f.verifier.Complaints()) > 0 {
		t.Errorf("still %q", f.verifier.Complaints())
	}
}

// New bundles do not wait for a CRL file to be whole again, and it stays in force.
func TestBundlesCountWhileTheCRLFileIsBroken(t *testing.T) {
	acme, next := newCA(t, nil, "Acme"), newCA(t, nil, "Acme Next")
	bad, good := acme.newLeaf(t), acme.newLeaf(t)
	lists := func(revoked ...*issued) []byte {
		return pemOf("X509 CRL", newCRL(t, acme, acme, revoking(revoked...)), newCRL(t, next, next))
	}
	f := federate(t, lists(bad), bundle("acme.internal", acme))
	config := f.verifier.ServerConfig(serverBase(t))
	try := func(when string, caller *issued, reason authn.Reason) {
		t.Helper()
		expect(t, when, func() (tls.ConnectionState, error) {
			return shake(t, config, clientConfig(caller, tls.VersionTLS13, nil))
		}, false, reason)
	}
	try("revoked", bad, clientcert.ReasonRevoked)
	try("not revoked", good, "")
	f.write(f.crl, []byte("half"))
	f.bundles.Store(&[]clientcert.Bundle{bundle("acme.internal", acme, next)})
	changed, err := f.verifier.Reload()
	if !changed || err == nil || !strings.Contains(err.Error(), "stay in use") {
		t.Errorf("reloaded with %v %v", changed, err)
	}
	try("of the next CA", next.newLeaf(t), "")
	try("revoked", bad, clientcert.ReasonRevoked)
	try("not revoked", good, "")
	f.write(f.crl, lists(bad, good))
	if changed, err = f.verifier.Reload(); !changed || err != nil {
		t.Errorf("reloaded with %v %v", changed, err)
	}
	try("revoked since", good, clientcert.ReasonRevoked)
	f.write(f.crl, pemOf("X509 CRL", newCRL(t, newCA(t, nil, "Acme"), newCA(t, nil, "Acme"), revoking(bad))))
	_, err = f.verifier.Reload()
	check(t, err) // one in the name of a CA only comes with bundles: CAs follow each other under one name
	try("with a list of another CA of that name", good, clientcert.ReasonRevocationUnknown)
}

func TestBundlesAndDNSNamesOrFilesDoNotMix(t *testing.T) {
	none := func() []clientcert.Bundle { return nil }
	for says, c := range map[string]clientcert.Config{
		"vouch for no other names": {Identity: both, Bundles: none},
		"keep one":                 {Identity: spiffe, Bundles: none, CAFile: "/nonexistent/ca.crt"},
		"create the file":          {Identity: spiffe, Bundles: none, CRLFile: "/nonexistent/ca.crl"},
	} {
		if v, err := clientcert.New(c); v != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
