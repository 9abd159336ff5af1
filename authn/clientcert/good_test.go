package clientcert_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn"
)

// good is a certificate that passes, and the caller that it names.
type good struct {
	name, caller string
	kinds        []authn.Kind
	make         func(w *world) *issued
}

func acceptAll(t *testing.T, all []good) {
	for _, g := range all {
		t.Run(g.name, func(t *testing.T) {
			w := newWorld(t)
			caller := g.make(w)
			lists := [][]byte{newCRL(t, w.root, w.root), newCRL(t, w.inter, w.inter, revoking(w.root))}
			v := w.start(g.kinds, certPEM(w.root), pemOf("X509 CRL", lists...))
			config := v.ServerConfig(serverBase(t))
			for version, number := range versions {
				state, err := shake(t, config, clientConfig(caller, number, nil))
				if err != nil {
					t.Errorf("%s: %v", version, err)
					continue
				}
				id, err := v.Caller(state)
				sum := sha256.Sum256(caller.chain[0])
				if err != nil || id.Caller.String() != g.caller || id.Thumbprint != base64.RawURLEncoding.EncodeToString(sum[:]) {
					t.Errorf("%s: %+v %v", version, id, err)
				}
				if state.Version != number || v.Check(state) != nil {
					t.Errorf("%s: version %x, %v", version, state.Version, v.Check(state))
				}
			}
		})
	}
}

func TestKeysOfEachKindPass(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	var all []good
	for name, key := range map[string]crypto.Signer{
		"RSA of 2048 bits": rsaKey(t, 2048), "RSA of 3072 bits": rsaKey(t, 3072), "Ed25519": ed,
		"P-256": ecKey(t, elliptic.P256()), "P-384": ecKey(t, elliptic.P384()), "P-521": ecKey(t, elliptic.P521()),
	} {
		all = append(all,
			good{name + " of a caller", crm, spiffe, leafOf(withKey(key))},
			good{name + " of a CA", "dns:crm.acme.internal", host, func(w *world) *issued {
				w.inter = newCA(t, w.root, "Acme Workloads", withKey(key))
				return w.inter.newLeaf(t, names(dns("crm.acme.internal")))
			}})
	}
	pss := newCA(t, nil, "PSS", withKey(rsaKey(t, 2048)), signedWith(x509.SHA384WithRSAPSS))
	all = append(all, good{"RSA-PSS", crm, spiffe, func(w *world) *issued {
		w.root = pss
		w.inter = newCA(t, w.root, "Acme Workloads")
		return w.root.newLeaf(t, signedWith(x509.SHA512WithRSAPSS))
	}})
	acceptAll(t, all)
}

func TestNamesOfEachKindPass(t *testing.T) {
	long := "spiffe://acme.internal/" + strings.Repeat("a", 2048-len("spiffe://acme.internal/"))
	longHost := strings.Repeat("a.", 126) + "a"
	reversed := func(w *world) *issued {
		third := newCA(t, newCA(t, w.inter, "Third"), "Fourth")
		c := third.newLeaf(t)
		slices.Reverse(c.chain[1:])
		return c
	}
	constrained := func(w *world) *issued {
		w.inter = newCA(t, w.root, "Acme Workloads", func(s *spec) {
			s.PermittedURIDomains, s.PermittedDNSDomains, s.PermittedDNSDomainsCritical = []string{"acme.internal"}, []string{"acme.internal"}, true
			s.MaxPathLenZero, s.ExtKeyUsage = true, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})
		return w.inter.newLeaf(t, names(uri(crm), dns("crm.acme.internal")))
	}
	acceptAll(t, []good{
		{"SPIFFE ID", crm, spiffe, leafOf()},
		{"SPIFFE ID where both may be", crm, both, leafOf()},
		{"SPIFFE ID beside hosts", crm, spiffe, leafOf(names(dns("a.internal"), uri(crm), dns("*.internal")))},
		{"SPIFFE ID with capitals in its path", "spiffe://acme_1.internal/ns/Prod/-.crm_", spiffe, leafOf(names(uri("spiffe://acme_1.internal/ns/Prod/-.crm_")))},
		{"longest SPIFFE ID", long, spiffe, leafOf(names(uri(long)))},
		{"host", "dns:crm.acme.internal", host, leafOf(names(dns("crm.acme.internal")))},
		{"host where both may be", "dns:crm", both, leafOf(names(dns("crm"), general(7, false, "\x0a\x00\x00\x01"), general(1, false, "a@b.c")))},
		{"host beside a SPIFFE ID", "dns:crm.acme.internal", host, leafOf(names(uri(crm), dns("crm.acme.internal")))},
		{"longest host", "dns:" + longHost, host, leafOf(names(dns(longHost)))},
		{"within name constraints", crm, spiffe, constrained},
		{"of the root itself", crm, spiffe, func(w *world) *issued { return w.root.newLeaf(t) }},
		{"without key usage", crm, spiffe, leafOf(keyUsage(0))},
		{"with the root sent too", crm, spiffe, func(w *world) *issued {
			c := w.inter.newLeaf(t)
			c.chain = append(c.chain, w.root.chain[0])
			return c
		}},
	})
	w := newWorld(t)
	config := w.start(spiffe, certPEM(w.root), nil).ServerConfig(serverBase(t))
	for name, version := range versions {
		if _, err := shake(t, config, clientConfig(reversed(w), version, nil)); err != nil {
			t.Errorf("CAs in another order, %s: %v", name, err)
		}
	}
}
