package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/authn"
)

// snapshot is what the files and bundles said at one moment. It is never
// changed, but for what it remembers to have verified.
type snapshot struct {
	digest     [sha256.Size]byte
	kinds      []authn.Kind
	file       *trust            // that of the CA file; nil with bundles
	domains    map[string]*trust // those of the trust domains
	lists      revocations
	complaints []string
	proofs     proofs
}

// load reads the files and asks for bundles.
func load(c Config) (*snapshot, error) {
	lists, err := readRevocations(c.CRLFile)
	if c.Bundles != nil {
		if err != nil {
			return nil, err
		}
		return c.withBundles(lists), nil
	}
	data, fault := readFile(c.CAFile, maxCAFile)
	if fault != nil {
		return nil, fmt.Errorf("reading ca_file %s: %w", c.CAFile, fault)
	}
	cas, fault := parseAuthorities(data)
	if fault != nil {
		return nil, fmt.Errorf("reading ca_file %s: %w", c.CAFile, fault)
	}
	if err == nil {
		if fault := lists.checkSigners(cas); fault != nil {
			err = fmt.Errorf("reading crl_file %s: %w", c.CRLFile, fault)
		}
	}
	if err != nil {
		return nil, err
	}
	return &snapshot{
		kinds: c.Identity, lists: lists, file: newTrust("ca_file", cas, lists), digest: digest(data, lists.digest[:]),
	}, nil
}

// withBundles asks for the bundles of now.
func (c Config) withBundles(lists revocations) *snapshot {
	s := &snapshot{kinds: c.Identity, lists: lists, domains: make(map[string]*trust)}
	parts := [][]byte{lists.digest[:]}
	bundles := slices.SortedFunc(slices.Values(c.Bundles()), func(a, b Bundle) int { return strings.Compare(a.TrustDomain, b.TrustDomain) })
	for _, b := range bundles {
		var good []*x509.Certificate
		parts = append(parts, []byte(b.TrustDomain))
		for i, ca := range b.Authorities {
			parts = append(parts, ca.Raw)
			if err := checkAuthority(ca); err != nil {
				s.complaints = append(s.complaints, fmt.Sprintf("trust bundle of %s: authority %d, %.80q, is left out: %s", b.TrustDomain, i+1, ca.Subject, err))
				continue
			}
			good = append(good, ca)
		}
		s.domains[b.TrustDomain] = newTrust("the trust bundle of "+b.TrustDomain, good, lists)
	}
	s.digest = digest(parts...)
	return s
}

// digest tells the contents of files apart; each length goes before its content.
func digest(parts ...[]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range parts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

// trustIn returns whom the chain of leaf must end in. Of several trust domains
// it is the one that the leaf's own name is of, and no other counts.
func (s *snapshot) trustIn(leaf *x509.Certificate) (*trust, error) {
	if s.file != nil {
		return s.file, nil
	}
	caller, err := Name(leaf, s.kinds...)
	if err != nil {
		return nil, err
	}
	t := s.domains[caller.TrustDomain()]
	switch {
	case t != nil && len(t.all) > 0:
		return t, nil
	case len(s.domains) == 0:
		return nil, refuse(ReasonUntrusted, "%s: no trust bundle has come from the SPIFFE Workload API; see the readiness page for why", describe(leaf))
	}
	return nil, refuse(ReasonUntrusted, "%s: the SPIFFE Workload API gives no trust bundle of the trust domain %.80q; federate with it, or call with a certificate of another", describe(leaf), caller.TrustDomain())
}

func (s *snapshot) trusts() []*trust {
	if s.file != nil {
		return []*trust{s.file}
	}
	return slices.Collect(maps.Values(s.domains))
}
