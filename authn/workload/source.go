package workload

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	maxKeySet  = 1 << 20          // bytes of a key set or of a discovery document
	maxSecret  = maxToken         // bytes of a token that is shown to get keys
	maxCAs     = 8 << 20          // bytes of a file of CAs
	fetchTime  = 10 * time.Second // for all that one fetch asks
	wellKnown  = "/.well-known/openid-configuration"
	acceptable = "application/jwk-set+json, application/json"
)

// source is where an issuer's keys are.
type source struct {
	issuer, jwksURL, jwksFile, caFile, tokenFile string
	clock                                        func() time.Time
}

func newSource(c Config) source {
	return source{issuer: c.Issuer, jwksURL: c.JWKSURL, jwksFile: c.JWKSFile, caFile: c.CAFile, tokenFile: c.BearerTokenFile, clock: c.Clock}
}

// checkFiles reads what a fetch will need.
func (s source) checkFiles() error {
	if _, err := s.authorities(); err != nil {
		return err
	}
	_, err := s.secret()
	return err
}

// read returns the keys as they are now.
func (s source) read(ctx context.Context) (*keySet, error) {
	if s.jwksFile != "" {
		text, err := readFile(s.jwksFile, maxKeySet)
		if err != nil {
			return nil, fmt.Errorf("reading jwks_file %s: %w", s.jwksFile, err)
		}
		set, err := parseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("reading jwks_file %s: %w", s.jwksFile, err)
		}
		return set, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	set, err := s.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetching keys: %w", err)
	}
	return set, nil
}

func (s source) fetch(ctx context.Context) (*keySet, error) {
	roots, err := s.authorities()
	if err != nil {
		return nil, err
	}
	secret, err := s.secret()
	if err != nil {
		return nil, err
	}
	f := newFetcher(roots, s.clock)
	defer f.close()
	address := s.jwksURL
	if address == "" {
		if address, err = s.discover(ctx, f, secret); err != nil {
			return nil, err
		}
		if !sameOrigin(address, s.issuer) {
			secret = ""
		}
	}
	text, err := f.get(ctx, address, secret)
	if err != nil {
		return nil, err
	}
	set, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", address, err)
	}
	return set, nil
}

// discover asks the issuer where its keys are (OpenID Connect Discovery 1.0
// section 4). That the document names the issuer itself keeps one tenant of a
// server from passing for another (section 4.3).
func (s source) discover(ctx context.Context, f *fetcher, secret string) (string, error) {
	address := strings.TrimSuffix(s.issuer, "/") + wellKnown
	text, err := f.get(ctx, address, secret)
	if err != nil {
		return "", err
	}
	all, err := members(text)
	if err != nil {
		return "", fmt.Errorf("reading %s: it %w; is it an OpenID provider? or set jwks_url", address, err)
	}
	issuer, err := all.text("issuer")
	if err != nil || issuer != s.issuer {
		return "", fmt.Errorf("reading %s: its issuer is %.200q and not %q, byte for byte; put that into issuer", address, issuer, s.issuer)
	}
	keys, err := all.text("jwks_uri")
	if err != nil || keys == "" {
		return "", fmt.Errorf("reading %s: it has no jwks_uri; set jwks_url", address)
	}
	if _, err := checkAddress(keys); err != nil {
		return "", fmt.Errorf("reading %s: its jwks_uri %.200q cannot be used: %w; or set jwks_url", address, redacted(keys), err)
	}
	return keys, nil
}

// authorities are those of caFile alone; nil are those of the system.
func (s source) authorities() (*x509.CertPool, error) {
	if s.caFile == "" {
		return nil, nil
	}
	text, err := readFile(s.caFile, maxCAs)
	if err != nil {
		return nil, fmt.Errorf("reading ca_file %s: %w", s.caFile, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading ca_file %s: no PEM certificate in it; it must hold the CA of the keys' server", s.caFile)
	}
	return pool, nil
}

// secret is the token of tokenFile, "" without one. No error repeats it.
func (s source) secret() (string, error) {
	if s.tokenFile == "" {
		return "", nil
	}
	text, err := readFile(s.tokenFile, maxSecret)
	if err != nil {
		return "", fmt.Errorf("reading bearer_token_file %s: %w", s.tokenFile, err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("reading bearer_token_file %s: it is empty, or has more than one token; write the token alone", s.tokenFile)
	}
	return token, nil
}

// readFile reads a regular file whole. Links are followed: mounted secrets are links.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for its writer
		return nil, errors.New("it is no regular file; name a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it is larger than %d KiB; is it the right file?", most>>10)
	}
	return text, err
}
