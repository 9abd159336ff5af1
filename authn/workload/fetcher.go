package workload

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// fetcher gets documents of public keys. It follows no redirect, uses no proxy
// of the environment, and reads a bounded number of bytes.
type fetcher struct{ client http.Client }

func newFetcher(roots *x509.CertPool, clock func() time.Time) *fetcher {
	return &fetcher{http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, Time: clock},
			TLSHandshakeTimeout:    fetchTime / 2,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
		},
	}}
}

func (f *fetcher) close() { f.client.CloseIdleConnections() }

// get returns the document at address, which is https. A secret is shown if
// there is one.
func (f *fetcher) get(ctx context.Context, address, secret string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", acceptable)
	r.Header.Set("User-Agent", "zproxy")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w; check the address, ca_file and the network", err)
	}
	defer resp.Body.Close()
	if err := checkStatus(resp, secret); err != nil {
		return nil, fmt.Errorf("getting %s: %w", address, err)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("the answer is larger than %d KiB; is it the right address?", maxKeySet>>10)
	}
	if err != nil {
		return nil, fmt.Errorf("getting %s: %w", address, err)
	}
	return text, nil
}

func checkStatus(resp *http.Response, secret string) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code >= 300 && code < 400:
		return fmt.Errorf("the answer is a redirect (%d), which is never followed; set jwks_url to the address of the keys themselves", code)
	case secret == "" && (code == http.StatusUnauthorized || code == http.StatusForbidden):
		return fmt.Errorf("the server wants to know who asks (%d); set bearer_token_file, and jwks_url if the keys are not on the issuer's origin", code)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("the server refuses the token of bearer_token_file (%d); bind its account to a role that may read the keys", code)
	default:
		return fmt.Errorf("the server answers with status %d; check that it is the right address", code)
	}
}

// sameOrigin tells whether two https addresses have one host and port.
func sameOrigin(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errors.Join(errX, errY) == nil && hostPort(x) == hostPort(y)
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return strings.ToLower(u.Hostname()) + " " + port
}
