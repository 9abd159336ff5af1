package acme

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"sync"

	"github.com/caddyserver/certmagic"
)

// issuer is certmagic's issuer for a process that nobody sits in front of.
type issuer struct{ acme *certmagic.ACMEIssuer }

// IssuerKey implements [certmagic.Issuer].
func (i issuer) IssuerKey() string { return i.acme.IssuerKey() }

// PreCheck implements [certmagic.PreChecker]. An attempt whose end can be
// awaited is interactive in certmagic's eyes. Without an email address it would
// ask for one on standard input and wait, or take that of another listener:
// an account without address is what was asked for.
func (i issuer) PreCheck(ctx context.Context, names []string, _ bool) error {
	if i.acme.Email == "" {
		return nil
	}
	return i.acme.PreCheck(ctx, names, false)
}

// Issue implements [certmagic.Issuer]. Calling every attempt a repeated one
// keeps it from certmagic's rate limiter, whose goroutine never ends; the pace
// is ours. Repeated attempts would go to a test authority, of which there is none.
func (i issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	attempts := 1
	return i.acme.Issue(context.WithValue(ctx, certmagic.AttemptsCtxKey, &attempts), csr)
}

// engine is certmagic, put together for one Run.
type engine struct {
	config *certmagic.Config
	acme   *certmagic.ACMEIssuer
}

// newEngine makes one whose checks take the held port for the listener's. The
// cache holds nothing: its maintenance would renew at its own pace, minutes
// apart after a failure.
func (m *Manager) newEngine(cache *certmagic.Cache, port int) engine {
	logger := bridge(m.log, m.secret)
	config := certmagic.New(cache, certmagic.Config{
		RenewalWindowRatio: renewalShare,
		KeySource:          certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		Storage:            m.store,
		OCSP:               certmagic.OCSPConfig{DisableStapling: true},
		Logger:             logger,
	})
	template := m.template()
	template.ListenHost, template.AltTLSALPNPort = loopback, port
	template.Logger = logger
	acme := certmagic.NewACMEIssuer(config, template)
	acme.TestCA = "" // certmagic's default, and then used by repeated attempts
	config.Issuers = []certmagic.Issuer{issuer{acme}}
	return engine{config, acme}
}

const loopback = "127.0.0.1"

// holdPort occupies a port of the loopback interface until release is called.
//
// Before a check, certmagic listens on the port of the challenge, unless that
// is taken: then it takes for granted that who listens there answers with its
// certificates, which is what [Manager.TLSConfig] does. The listener's own port
// would depend on how it was opened (by systemd, behind a forwarded port, on
// another address) and on whether it is open at that moment. This port is taken
// whatever the listener does, so certmagic never opens a socket that accepts.
func holdPort() (port int, release func(), err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, nil, fmt.Errorf("holding a loopback port: %w; let zproxy bind on %s", err, loopback)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept() // certmagic looks whether the port answers
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	return l.Addr().(*net.TCPAddr).Port, func() { _ = l.Close(); wg.Wait() }, nil
}
