package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/zproxy/zproxy/internal/config"
)

// upstreamTLS is how ZITADEL is trusted, and what proves zproxy to it: under the
// issuer's name, whatever the address. own is nil where nothing does.
func upstreamTLS(u config.Upstream) (c *tls.Config, own *ownCertificate, err error) {
	c = &tls.Config{ServerName: u.Issuer.Hostname(), MinVersion: tls.VersionTLS12}
	if c.RootCAs, err = roots(u.CAFile); err != nil {
		return c, nil, err
	}
	if u.TLS == nil {
		return c, nil, nil
	}
	if u.TLS.MinimumVersion == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if u.TLS.CertificateFile != "" {
		if own, err = newOwnCertificate(u.TLS); err != nil {
			return c, nil, err
		}
		c.GetClientCertificate = own.get
	}
	return c, own, nil
}

// roots reads upstream.ca_file. Nil means the system's roots.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading upstream.ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificate authorities: %w", err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading upstream.ca_file %s: no PEM certificate in it; it must hold the CA that signed ZITADEL's certificate", file)
	}
	return pool, nil
}
