// Package clientcert verifies client certificates and names the caller that one proves.
//
// crypto/tls checks that the other end holds the private key; all else is
// checked here, at every handshake, resumed ones too, and again for each
// request: the chain to the CA file, or to the bundle of the caller's trust
// domain, with the usage of a client, validity, name constraints, the strength
// of keys and signatures, revocation by CRL, and that the certificate names
// exactly one caller. Nothing that is missing means "no check": a CA or CRL file
// that cannot be read is an error, a CRL past its end refuses its CA's callers,
// and a trust domain without a bundle has none.
package clientcert

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zproxy/zproxy/authn"
)

// Config says whose certificates name callers, and by which of their names.
type Config struct {
	// CAFile is the path of the certificates, in PEM, that chains must end in.
	// Each must be a CA. Between them only white space may stand.
	CAFile string
	// Bundles, in place of CAFile, returns the trust bundles of trust domains as
	// they are now. It is asked at start and at each [Verifier.Reload]. A chain
	// must end in the bundle of the trust domain that the leaf's SPIFFE ID is of,
	// and Identity must be [authn.KindSPIFFE] alone: a bundle vouches for the
	// names of its own trust domain and for nothing else
	// (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md section 4.6).
	Bundles func() []Bundle
	// CRLFile is the path of certificate revocation lists (RFC 5280 section 5):
	// one or several in PEM, or one in DER. If empty, revocation is not checked;
	// else each CA of a chain must have a list in it that has not ended.
	CRLFile string
	// Identity are the kinds of names that make a caller: [authn.KindSPIFFE],
	// [authn.KindDNS] or both. A certificate must have one name of all these
	// kinds together, so that it never depends on their order who calls.
	Identity []authn.Kind
	// Clock tells the time that validity is judged at. If nil, [time.Now].
	Clock func() time.Time
}

// Bundle are the authorities of one trust domain. With none, nobody is of it.
type Bundle struct {
	TrustDomain string // "acme.internal"
	Authorities []*x509.Certificate
}

// Verifier verifies client certificates. It is safe for concurrent use; each
// verification uses the files of one moment.
type Verifier struct {
	config  Config
	reload  sync.Mutex
	current atomic.Pointer[snapshot]
}

// New reads the files of c. An error says which file or setting is wrong, why,
// and how to put it right. A CRL that has ended is no such error, since only
// time tells: it refuses its CA's callers until [Verifier.Reload] finds a newer one.
func New(c Config) (*Verifier, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("verifying client certificates: %w", err)
	}
	c.Identity = slices.Clone(c.Identity)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	v := &Verifier{config: c}
	s, err := load(c)
	if err != nil {
		return nil, err
	}
	v.current.Store(s)
	return v, nil
}

func (c Config) check() error {
	switch {
	case c.CAFile == "" && c.Bundles == nil:
		return errors.New("ca_file is not set; name the file of the CAs whose certificates callers have")
	case c.CAFile != "" && c.Bundles != nil:
		return errors.New("both ca_file and trust bundles are set; keep one")
	case len(c.Identity) == 0:
		return errors.New("identity is empty, and no certificate could name a caller; list spiffe, dns or both")
	}
	for i, kind := range c.Identity {
		switch {
		case kind != authn.KindSPIFFE && kind != authn.KindDNS:
			return fmt.Errorf("identity %d is no name that a certificate has; list spiffe, dns or both", i+1)
		case kind != authn.KindSPIFFE && c.Bundles != nil:
			return fmt.Errorf("identity %d is no SPIFFE ID, and trust bundles vouch for no other names; list spiffe alone, or set ca_file", i+1)
		case slices.Contains(c.Identity[:i], kind):
			return fmt.Errorf("identity %d is listed twice; list each kind once", i+1)
		}
	}
	return nil
}

// Reload reads the files, and asks for bundles, again. If they are as they were,
// it returns false. On an error of a file what was read of it before stays in
// use; bundles count even so, since they were not asked for because of the file.
// After a change nothing that was verified before counts any more:
// [Verifier.Caller] and [Verifier.Check] judge by what is new, and no older
// session is resumed.
func (v *Verifier) Reload() (changed bool, err error) {
	v.reload.Lock()
	defer v.reload.Unlock()
	old := v.current.Load()
	s, err := load(v.config)
	if err != nil {
		err = fmt.Errorf("%w; the files read before stay in use", err)
		if v.config.Bundles == nil {
			return false, err
		}
		s = v.config.withBundles(old.lists)
	}
	if s.digest == old.digest {
		return false, err
	}
	v.current.Store(s)
	return true, err
}

// Complaints are what is wrong with the bundles in use: authorities that no
// chain can end in, and that are left out.
func (v *Verifier) Complaints() []string { return v.current.Load().complaints }

// NextUpdate returns the end of the CRL in use that ends first, after which its
// CA's callers are refused, and false without CRLs.
func (v *Verifier) NextUpdate() (end time.Time, ok bool) {
	for _, c := range v.current.Load().lists.all {
		if end.IsZero() || c.list.NextUpdate.Before(end) {
			end = c.list.NextUpdate
		}
	}
	return end, !end.IsZero()
}
