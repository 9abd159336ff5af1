package listener

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxPEM bounds a file of certificates or a key, in bytes.
const maxPEM = 1 << 20

// Certificate is a server certificate from files. Its methods are safe for
// concurrent use.
type Certificate struct {
	certFile, keyFile string

	mu      sync.Mutex // of those who reload
	content []byte
	current atomic.Pointer[tls.Certificate]
}

// NewCertificate reads a certificate with its chain, and its private key, both
// PEM. The error says which file is wrong and how to put it right.
func NewCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	_, err := c.Reload()
	return c, err
}

// Reload reads the files again. If they are as they were, it returns false. On an
// error what was read before stays in use.
func (c *Certificate) Reload() (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	certificates, err := readPEM("certificate_file", c.certFile)
	if err != nil {
		return false, err
	}
	key, err := readPEM("key_file", c.keyFile)
	if err != nil {
		return false, err
	}
	content := append(append(bytes.Clone(certificates), 0), key...)
	if bytes.Equal(content, c.content) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(certificates, key)
	if err != nil {
		return false, fmt.Errorf("reading certificate_file %s and key_file %s: %w; both must be PEM, the certificate first and its chain after it, and the key must be the certificate's", c.certFile, c.keyFile, err)
	}
	err = wholeChain(certificates, pair)
	if err == nil {
		err = forServers(pair.Leaf)
	}
	if err != nil {
		return false, fmt.Errorf("reading certificate_file %s: %w", c.certFile, err)
	}
	c.content = content
	c.current.Store(&pair)
	return true, nil
}

func readPEM(key, file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", key, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading %s %s: it is no regular file", key, file)
	case info.Size() > maxPEM:
		return nil, fmt.Errorf("reading %s %s: it has %d bytes, %d are the most", key, file, info.Size(), maxPEM)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return text, nil
}

// wholeChain refuses a file of which crypto/tls leaves a part out: it passes over
// a block that is cut short, and callers would miss an intermediate CA.
func wholeChain(text []byte, pair tls.Certificate) error {
	if begun := bytes.Count(text, []byte("-----BEGIN CERTIFICATE")); begun != len(pair.Certificate) {
		return fmt.Errorf("of its %d certificates %d are whole; write it in full, and then rename it into place", begun, len(pair.Certificate))
	}
	for i, der := range pair.Certificate {
		if _, err := x509.ParseCertificate(der); err != nil {
			return fmt.Errorf("certificate %d: %w; write the file anew", i+1, err)
		}
	}
	return nil
}

// forServers refuses what no caller would accept, when it is put in place
// instead of when the first caller comes.
func forServers(leaf *x509.Certificate) error {
	now := time.Now()
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate ended at %s; put a current one in place", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate begins at %s; check the clock, or wait", leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 && len(leaf.URIs) == 0:
		return errors.New("the certificate has no subject alternative name, and callers accept no other")
	}
	for _, usage := range leaf.ExtKeyUsage {
		if usage == x509.ExtKeyUsageServerAuth || usage == x509.ExtKeyUsageAny {
			return nil
		}
	}
	if len(leaf.ExtKeyUsage) > 0 {
		return errors.New("the certificate is not for servers (extended key usage); have one issued for server authentication")
	}
	return nil
}

// Get is for [tls.Config.GetCertificate].
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// NotAfter is when the certificate in use ends.
func (c *Certificate) NotAfter() time.Time { return c.current.Load().Leaf.NotAfter }
