// Package clientcert verifies client certificates and names the caller that one proves.
//
// crypto/tls checks that the other end holds the private key; all else is
// checked here, at every handshake, resumed ones too, and again for each
// request: the chain to the CA file with the usage of a client, validity, name
// constraints, the strength of keys and signatures, revocation by CRL, and that
// the certificate names exactly one caller. Nothing that is missing means "no
// check": a CA or CRL file that cannot be read is an error, and a CRL past its
// end refuses its CA's callers.
package clientcert

import (
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
	if c.CAFile == "" {
		return nil, errors.New("verifying client certificates: ca_file is not set; name the file of the CAs whose certificates callers have")
	}
	if len(c.Identity) == 0 {
		return nil, errors.New("verifying client certificates: identity is empty, and no certificate could name a caller; list spiffe, dns or both")
	}
	for i, kind := range c.Identity {
		if kind != authn.KindSPIFFE && kind != authn.KindDNS {
			return nil, fmt.Errorf("verifying client certificates: identity %d is no name that a certificate has; list spiffe, dns or both", i+1)
		}
		if slices.Contains(c.Identity[:i], kind) {
			return nil, fmt.Errorf("verifying client certificates: identity %d is listed twice; list each kind once", i+1)
		}
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

// Reload reads the files again. If they are as they were, it returns false. On
// an error what was read before stays in use. After a change nothing that was
// verified before counts any more: [Verifier.Caller] and [Verifier.Check] judge
// by the new files, and no older session is resumed.
func (v *Verifier) Reload() (changed bool, err error) {
	v.reload.Lock()
	defer v.reload.Unlock()
	s, err := load(v.config)
	if err != nil {
		return false, fmt.Errorf("%w; the files read before stay in use", err)
	}
	if s.digest == v.current.Load().digest {
		return false, nil
	}
	v.current.Store(s)
	return true, nil
}

// NextUpdate returns the end of the CRL in use that ends first, after which its
// CA's callers are refused, and false without CRLs.
func (v *Verifier) NextUpdate() (end time.Time, ok bool) {
	for _, c := range v.current.Load().crls {
		if end.IsZero() || c.list.NextUpdate.Before(end) {
			end = c.list.NextUpdate
		}
	}
	return end, !end.IsZero()
}
