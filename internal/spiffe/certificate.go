package spiffe

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/zproxy/zproxy/authn/clientcert"
)

// ErrNoCertificate is of handshakes while there is no SVID that holds.
var ErrNoCertificate = errors.New("no X.509-SVID of the SPIFFE Workload API")

// Certificate returns the SVID, from memory. It is for [tls.Config.GetCertificate].
// The error is an [ErrNoCertificate] and says why there is none.
func (s *Source) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	m := s.current.Load()
	if err := s.fault(m); err != nil {
		return nil, err
	}
	return m.certificate, nil
}

// Fault is why handshakes are refused now, nil while there is an SVID that holds.
func (s *Source) Fault() error { return s.fault(s.current.Load()) }

func (s *Source) fault(m *material) error {
	why := s.Err()
	if why == nil {
		why = errNone
	}
	switch {
	case m.certificate == nil:
		return fmt.Errorf("%w at %s: %w", ErrNoCertificate, s.config.WorkloadAPI, why)
	case m.ended(s.config.Clock()):
		return fmt.Errorf("%w at %s: that of %s ended at %s: %w", ErrNoCertificate, s.config.WorkloadAPI, m.id, m.certificate.Leaf.NotAfter.UTC().Format(time.RFC3339), why)
	}
	return nil
}

// Bundles are the trust bundles as they are now, one of each trust domain. It is
// for [clientcert.Config.Bundles].
func (s *Source) Bundles() []clientcert.Bundle { return s.current.Load().bundles }
