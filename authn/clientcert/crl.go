package clientcert

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"
)

// crl is a list that was read and not yet believed: only a chain shows whose
// key must have signed it.
type crl struct {
	list    *x509.RevocationList // without its entries
	revoked map[string]struct{}

	mu      sync.Mutex
	signers map[[sha256.Size]byte]error // what is known of who signed it, by certificate
}

func (c *crl) lists(serial *big.Int) bool {
	_, found := c.revoked[serial.Text(62)]
	return found
}

// revocations are the lists of the CRL file. Without a file they check nothing.
type revocations struct {
	check  bool
	all    []*crl
	digest [sha256.Size]byte // of the file
}

func readRevocations(file string) (revocations, error) {
	if file == "" {
		return revocations{}, nil
	}
	data, err := readFile(file, maxCRLFile)
	if err != nil {
		return revocations{}, fmt.Errorf("reading crl_file %s: %w", file, err)
	}
	all, err := parseCRLs(data)
	if err != nil {
		return revocations{}, fmt.Errorf("reading crl_file %s: %w", file, err)
	}
	return revocations{check: true, all: all, digest: digest(data)}, nil
}

// checkSigners refuses lists that a CA of the CA file seems to have issued and
// has not, before all its callers are refused for want of one. Those of other
// CAs may be of intermediate ones, which only come with a caller's chain.
func (r revocations) checkSigners(cas []*x509.Certificate) error {
	for i, c := range r.all {
		signers := issuers(cas, c.list.RawIssuer)
		if len(signers) > 0 && !c.signedByAny(signers) {
			return fmt.Errorf("list %d, of %.80q: the CA of that name in ca_file has not signed it, or may not (cRLSign); fetch the list from the CA", i+1, c.list.Issuer)
		}
	}
	return nil
}

// revoke reports whether ca is on a list of its issuer. One that is only in the
// name of a CA among others does not count; whose CA is not there may count.
func (r revocations) revoke(ca *x509.Certificate, others []*x509.Certificate) bool {
	for _, c := range r.all {
		if !bytes.Equal(c.list.RawIssuer, ca.RawIssuer) || !c.lists(ca.SerialNumber) {
			continue
		}
		signers := issuers(others, c.list.RawIssuer)
		if len(signers) == 0 || c.signedByAny(signers) {
			return true
		}
	}
	return false
}

// maxSigners bounds what is remembered of one list; CAs of one name are few.
const maxSigners = 16

// signedBy returns nil if ca has signed the list, and may. It is remembered: the
// signature is over all of the list, which may have megabytes, and each caller's
// certificate asks for it.
func (c *crl) signedBy(ca *x509.Certificate) error {
	key := sha256.Sum256(ca.Raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	err, known := c.signers[key]
	if known {
		return err
	}
	err = c.list.CheckSignatureFrom(ca)
	if c.signers == nil || len(c.signers) >= maxSigners {
		c.signers = make(map[[sha256.Size]byte]error)
	}
	c.signers[key] = err
	return err
}

func (c *crl) signedByAny(signers []*x509.Certificate) bool {
	for _, signer := range signers {
		if c.signedBy(signer) == nil {
			return true
		}
	}
	return false
}

// parseCRLs reads the content of a CRL file.
func parseCRLs(data []byte) ([]*crl, error) {
	blocks := [][]byte{data}
	if data[0] != 0x30 { // a DER SEQUENCE
		var err error
		if blocks, err = splitPEM(data, "X509 CRL"); err != nil {
			return nil, err
		}
	}
	var all []*crl
	for i, der := range blocks {
		c, err := parseCRL(der)
		if err != nil {
			return nil, fmt.Errorf("list %d: %w", i+1, err)
		}
		all = append(all, c)
	}
	return all, nil
}

func parseCRL(der []byte) (*crl, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("%w; write the file anew", err)
	}
	switch {
	case len(list.Raw) != len(der):
		return nil, errors.New("bytes follow the list; write the file anew")
	case list.NextUpdate.IsZero():
		return nil, errors.New("it has no nextUpdate, so it never ends and may be older than any revocation; have the CA issue it with one (RFC 5280 section 5.1.2.5)")
	case !list.NextUpdate.After(list.ThisUpdate):
		return nil, errors.New("it ends before it begins; have the CA issue it anew")
	case weakSignature(list.SignatureAlgorithm):
		return nil, fmt.Errorf("it is signed with %s; have the CA sign it with SHA-256 or better, or with Ed25519", list.SignatureAlgorithm)
	}
	if err := checkScope(list.Extensions); err != nil {
		return nil, err
	}
	c := &crl{revoked: make(map[string]struct{}, len(list.RevokedCertificateEntries))}
	for _, entry := range list.RevokedCertificateEntries {
		if err := checkEntry(entry); err != nil {
			return nil, fmt.Errorf("entry %.42s: %w", entry.SerialNumber.Text(16), err)
		}
		c.revoked[entry.SerialNumber.Text(62)] = struct{}{}
	}
	c.list = &x509.RevocationList{
		RawTBSRevocationList: list.RawTBSRevocationList, RawIssuer: bytes.Clone(list.RawIssuer), Issuer: list.Issuer,
		Signature: list.Signature, SignatureAlgorithm: list.SignatureAlgorithm,
		ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
	}
	return c, nil
}

// The extensions that change what a list or an entry means (RFC 5280 section 5).
var (
	oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidDelta                    = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidAuthorityKey             = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidNumber                   = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidCertificateIssuer        = asn1.ObjectIdentifier{2, 5, 29, 29}
	oidReason                   = asn1.ObjectIdentifier{2, 5, 29, 21}
)

// checkScope refuses a list that is not the whole list of its issuer, for a
// certificate that is not on it would pass.
func checkScope(extensions []pkix.Extension) error {
	for _, e := range extensions {
		switch {
		case e.Id.Equal(oidDelta):
			return errors.New("it is a delta CRL, which has only what changed; fetch the full one")
		case e.Id.Equal(oidIssuingDistributionPoint):
			return errors.New("it is an indirect or partial CRL (it has an issuing distribution point); fetch the CA's full one")
		case e.Critical && !e.Id.Equal(oidAuthorityKey) && !e.Id.Equal(oidNumber):
			return fmt.Errorf("its critical extension %s is not understood; have the CA issue it without", e.Id)
		}
	}
	return nil
}

// removeFromCRL is a reason that only delta CRLs may have.
const removeFromCRL = 8

func checkEntry(entry x509.RevocationListEntry) error {
	if entry.ReasonCode == removeFromCRL {
		return errors.New("its reason is that of delta CRLs, removeFromCRL; fetch the CA's full CRL")
	}
	for _, e := range entry.Extensions {
		switch {
		case e.Id.Equal(oidCertificateIssuer):
			return errors.New("it names another issuer, as in an indirect CRL; fetch the CA's own one")
		case e.Critical && !e.Id.Equal(oidReason):
			return fmt.Errorf("its critical extension %s is not understood; have the CA issue the list without", e.Id)
		}
	}
	return nil
}
