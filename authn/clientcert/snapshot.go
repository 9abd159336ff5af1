package clientcert

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"github.com/zproxy/zproxy/authn"
)

// snapshot is what the files said at one moment. It is never changed, but for
// what it remembers to have verified.
type snapshot struct {
	digest   [sha256.Size]byte
	kinds    []authn.Kind
	all      []*x509.Certificate // as the CA file lists them
	anchors  *x509.CertPool      // of them, those that are not revoked
	revoked  []*x509.Certificate // the others
	crls     []*crl
	checkCRL bool
	proofs   proofs
}

func load(c Config) (*snapshot, error) {
	cas, err := readFile(c.CAFile, maxCAFile)
	if err != nil {
		return nil, fmt.Errorf("reading ca_file %s: %w", c.CAFile, err)
	}
	s := &snapshot{kinds: c.Identity, anchors: x509.NewCertPool(), checkCRL: c.CRLFile != ""}
	if s.all, err = parseAuthorities(cas); err != nil {
		return nil, fmt.Errorf("reading ca_file %s: %w", c.CAFile, err)
	}
	var lists []byte
	if s.checkCRL {
		if lists, err = readFile(c.CRLFile, maxCRLFile); err != nil {
			return nil, fmt.Errorf("reading crl_file %s: %w", c.CRLFile, err)
		}
		if s.crls, err = parseCRLs(lists); err != nil {
			return nil, fmt.Errorf("reading crl_file %s: %w", c.CRLFile, err)
		}
		if err := s.checkSigners(); err != nil {
			return nil, fmt.Errorf("reading crl_file %s: %w", c.CRLFile, err)
		}
	}
	s.digest = digest(cas, lists)
	s.sortAnchors()
	return s, nil
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

// checkSigners refuses lists that a CA of the CA file seems to have issued and
// has not, before all its callers are refused for want of one. Those of other
// CAs may be of intermediate ones, which only come with a caller's chain.
func (s *snapshot) checkSigners() error {
	for i, c := range s.crls {
		signers := issuers(s.all, c.list.RawIssuer)
		if len(signers) > 0 && !c.signedByAny(signers) {
			return fmt.Errorf("list %d, of %.80q: the CA of that name in ca_file has not signed it, or may not (cRLSign); fetch the list from the CA", i+1, c.list.Issuer)
		}
	}
	return nil
}

func (c *crl) signedByAny(signers []*x509.Certificate) bool {
	for _, signer := range signers {
		if c.list.CheckSignatureFrom(signer) == nil {
			return true
		}
	}
	return false
}

// sortAnchors takes from the anchors those that are revoked. A CA file often
// lists the intermediate CAs too; chains would end in them, and their own
// issuer's list would never be looked at.
func (s *snapshot) sortAnchors() {
	for _, ca := range s.all {
		if s.listed(ca) {
			s.revoked = append(s.revoked, ca)
			continue
		}
		s.anchors.AddCert(ca)
	}
}

func (s *snapshot) listed(ca *x509.Certificate) bool {
	for _, c := range s.crls {
		if bytes.Equal(c.list.RawIssuer, ca.RawIssuer) && c.lists(ca.SerialNumber) {
			return true
		}
	}
	return false
}
