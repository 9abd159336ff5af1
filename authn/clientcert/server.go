package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync/atomic"
)

// ServerConfig returns base, which may be nil, with client certificates
// required and verified by v at each handshake, resumed ones too. All else of
// base stays: its certificates, protocols, versions from TLS 1.2 up, its own
// VerifyConnection, which is asked after v. Without protocols it gets h2 and
// http/1.1, as net/http would set.
//
// What base's GetConfigForClient returns is protected in the same way, without
// exception. A handshake that must pass without a certificate, such as that of
// acme-tls/1, has to be answered by a GetConfigForClient around the result.
//
// The error of a refused handshake is an [*authn.Error], or one of crypto/tls
// that [Refusal] reads.
func (v *Verifier) ServerConfig(base *tls.Config) *tls.Config {
	if base == nil {
		base = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	tickets := v.tickets(base)
	config := v.protect(base, tickets)
	var last atomic.Pointer[hinted]
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if base.GetConfigForClient != nil {
			other, err := base.GetConfigForClient(hello)
			if err != nil {
				return nil, err
			}
			if other != nil {
				return v.protect(other, tickets), nil
			}
		}
		now := v.current.Load()
		h := last.Load()
		if h == nil || h.snapshot != now {
			h = &hinted{now, v.protect(base, tickets)}
			last.Store(h)
		}
		return h.config, nil
	}
	return config
}

// hinted is a configuration that tells callers of the CAs of a snapshot. Some
// send no certificate whose CA is not among these.
type hinted struct {
	snapshot *snapshot
	config   *tls.Config
}

// protect returns c with v's checks. crypto/tls is told to verify no chain, or
// it would refuse before v and without v's reasons.
func (v *Verifier) protect(c *tls.Config, tickets *tickets) *tls.Config {
	inner := c.VerifyConnection
	c = c.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	c.ClientAuth = tls.RequireAnyClientCert
	c.ClientCAs = v.hints()
	c.GetConfigForClient = nil
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if err := v.Check(state); err != nil {
			return err
		}
		if inner != nil {
			return inner(state)
		}
		return nil
	}
	if c.Time == nil {
		c.Time = v.config.Clock // crypto/tls resumes no session whose certificate has ended, by this
	}
	c.WrapSession, c.UnwrapSession = tickets.wrap, tickets.unwrap
	return c
}

// maxHints is how many names of CAs are sent with each handshake at most. With
// more none is sent, which lets the caller choose (RFC 5246 section 7.4.4).
const maxHints = 100

func (v *Verifier) hints() *x509.CertPool {
	s, all := v.current.Load(), 0
	hints := x509.NewCertPool()
	for _, t := range s.trusts() {
		if all += len(t.all); all > maxHints {
			return nil
		}
		for _, ca := range t.all {
			if !slices.ContainsFunc(t.revoked, ca.Equal) {
				hints.AddCert(ca)
			}
		}
	}
	return hints
}
