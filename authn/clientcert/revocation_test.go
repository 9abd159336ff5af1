package clientcert_test

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/clientcert"
)

func TestFaultsOfRevocation(t *testing.T) {
	// The rows' certificates are made before their lists.
	var leaf *issued
	plain := func(w *world) *issued { leaf = w.inter.newLeaf(w.t); return leaf }
	file := func(lists ...func(w *world) []byte) func(*world) []byte {
		return func(w *world) []byte {
			var all [][]byte
			for _, l := range lists {
				all = append(all, l(w))
			}
			return pemOf("X509 CRL", all...)
		}
	}
	root := func(o ...crlOption) func(*world) []byte {
		return func(w *world) []byte { return newCRL(t, w.root, w.root, o...) }
	}
	inter := func(o ...crlOption) func(*world) []byte {
		return func(w *world) []byte { return newCRL(t, w.inter, w.inter, o...) }
	}
	revokingLeaf := func(l *x509.RevocationList) { revoking(leaf)(l) }
	onHold := func(l *x509.RevocationList) {
		revoking(leaf)(l)
		l.RevokedCertificateEntries[0].ReasonCode = 6
	}
	withIntermediate := func(w *world) []byte { return certPEM(w.inter, w.root) }
	expired, later := lasting(-2*time.Hour, -time.Minute), lasting(time.Minute, time.Hour)
	refuseAll(t, []fault{
		{name: "leaf revoked", reason: clientcert.ReasonRevoked, detail: "crm.acme.internal", make: plain, lists: file(root(), inter(revokingLeaf))},
		{name: "leaf on hold", reason: clientcert.ReasonRevoked, detail: "crm.acme.internal", make: plain, lists: file(root(), inter(onHold))},
		{name: "leaf on one of two lists", reason: clientcert.ReasonRevoked, make: plain, lists: file(root(), inter(), inter(revokingLeaf))},
		{name: "leaf on a list that ended", reason: clientcert.ReasonRevoked, make: plain, lists: file(root(), inter(), inter(revokingLeaf, expired))},
		{name: "intermediate CA revoked", reason: clientcert.ReasonRevoked, detail: "Acme Workloads", make: plain,
			lists: func(w *world) []byte { return file(root(revoking(w.inter)), inter())(w) }},
		{name: "intermediate CA revoked that ca_file lists", reason: clientcert.ReasonRevoked, detail: "Acme Workloads", make: plain, roots: withIntermediate,
			lists: func(w *world) []byte { return file(root(revoking(w.inter)), inter())(w) }},
		{name: "revoked CA that is the only one", reason: clientcert.ReasonRevoked, detail: "a CA of ca_file", make: plain, roots: func(w *world) []byte { return certPEM(w.inter) },
			lists: func(w *world) []byte { return file(root(revoking(w.inter)), inter())(w) }},
		{name: "list ended", reason: clientcert.ReasonRevocationUnknown, detail: "Acme Workloads\" ended", make: plain, lists: file(root(), inter(expired))},
		{name: "root's list ended", reason: clientcert.ReasonRevocationUnknown, detail: "Acme Root\" ended", make: plain, lists: file(root(expired), inter())},
		{name: "list not begun", reason: clientcert.ReasonRevocationUnknown, detail: "begins", make: plain, lists: file(root(), inter(later))},
		{name: "no list of the intermediate CA", reason: clientcert.ReasonRevocationUnknown, detail: "no CRL of \"CN=Acme Workloads", make: plain, lists: file(root())},
		{name: "no list of the root", reason: clientcert.ReasonRevocationUnknown, detail: "no CRL of \"CN=Acme Root", make: plain, lists: file(inter())},
		{name: "list of another CA", reason: clientcert.ReasonRevocationUnknown, detail: "no CRL of", make: plain,
			lists: file(root(), func(w *world) []byte { ca := newCA(t, nil, "Evil"); return newCRL(t, ca, ca) })},
		{name: "list of another CA of the same name", reason: clientcert.ReasonRevocationUnknown, detail: "not signed", make: plain,
			lists: file(root(), func(w *world) []byte { ca := newCA(t, nil, "Acme Workloads"); return newCRL(t, ca, ca) })},
		{name: "list signed with the wrong key", reason: clientcert.ReasonRevocationUnknown, detail: "not signed", make: plain,
			lists: file(root(), func(w *world) []byte { return newCRL(t, w.inter, w.root) })},
		{name: "list signed by a caller", reason: clientcert.ReasonRevocationUnknown, detail: "not signed", make: plain,
			lists: file(root(), func(w *world) []byte { return newCRL(t, w.inter, leaf) })},
		{name: "list changed", reason: clientcert.ReasonRevocationUnknown, detail: "not signed", make: plain,
			lists: file(root(), func(w *world) []byte {
				serial := leaf.cert.SerialNumber.Bytes()
				other := bytes.Clone(serial)
				other[len(other)-1] ^= 1
				return bytes.Replace(newCRL(t, w.inter, w.inter, revoking(leaf)), serial, other, 1)
			})},
		{name: "CA may sign no list", reason: clientcert.ReasonRevocationUnknown, detail: "may not sign one",
			make: func(w *world) *issued {
				w.inter = newCA(t, w.root, "Acme Workloads", keyUsage(x509.KeyUsageCertSign))
				return plain(w)
			}, lists: file(root(), inter())},
		{name: "list in DER of the root only", reason: clientcert.ReasonRevocationUnknown, detail: "no CRL of", make: plain, lists: root()},
	})
}

// A CA that changed its key has one name and two lists.
func TestEachKeyOfACAHasItsOwnList(t *testing.T) {
	w := newWorld(t)
	old, fresh := newCA(t, w.root, "Acme Workloads"), newCA(t, w.root, "Acme Workloads")
	bad, good := old.newLeaf(t), fresh.newLeaf(t)
	v := w.start(spiffe, certPEM(w.root), pemOf("X509 CRL", newCRL(t, w.root, w.root), newCRL(t, old, old, revoking(bad)), newCRL(t, fresh, fresh)))
	config := v.ServerConfig(serverBase(t))
	for name, version := range versions {
		if _, err := shake(t, config, clientConfig(good, version, nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := shake(t, config, clientConfig(bad, version, nil))
		if refused, ok := clientcert.Refusal(err); !ok || refused.Reason != clientcert.ReasonRevoked {
			t.Errorf("%s: %v", name, err)
		}
	}
}
