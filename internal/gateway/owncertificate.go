package gateway

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/zproxy/zproxy/internal/config"
)

// ownCertificate proves zproxy to whatever stands before ZITADEL. Its files are
// read at each handshake, which are rare; those that cannot be read leave the
// last good ones in use.
type ownCertificate struct {
	certFile, keyFile string
	last              atomic.Pointer[tls.Certificate]

	seen   string                // how the files looked at the last look, which one goroutine takes
	failed atomic.Pointer[error] // why they were not taken then
}

func newOwnCertificate(c *config.UpstreamTLS) (*ownCertificate, error) {
	o := &ownCertificate{certFile: c.CertificateFile, keyFile: c.KeyFile}
	o.seen = o.looks()
	return o, o.read()
}

func (o *ownCertificate) read() error {
	pair, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
	if err != nil {
		return fmt.Errorf("reading upstream.tls certificate_file %s and key_file %s: %w; both must be PEM, and the key must be the certificate's", o.certFile, o.keyFile, err)
	}
	o.last.Store(&pair)
	return nil
}

// get is for [tls.Config.GetClientCertificate].
func (o *ownCertificate) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	err := o.read()
	if last := o.last.Load(); last != nil {
		return last, nil
	}
	return nil, err
}

func (o *ownCertificate) looks() string { return appearance(o.certFile) + " " + appearance(o.keyFile) }

// look tells of files that look otherwise than at the last look: the next
// handshake may be long in coming, and says nothing of those that are bad.
func (o *ownCertificate) look(g *Gateway) {
	looks := o.looks()
	if looks == o.seen {
		return
	}
	o.seen = looks
	err := o.read()
	g.metrics.CertificatesReloaded("", err)
	if err != nil {
		o.failed.Store(&err)
		g.log.Error().Err(err).Msg("reloading the certificate towards the upstream failed; the one read before stays in use")
		return
	}
	o.failed.Store(nil)
	g.log.Info().Msg("certificate towards the upstream reloaded")
}

// failure is why the last files were not taken, "" if they were.
func (o *ownCertificate) failure() string {
	if o == nil {
		return ""
	}
	if err := o.failed.Load(); err != nil {
		return (*err).Error()
	}
	return ""
}
