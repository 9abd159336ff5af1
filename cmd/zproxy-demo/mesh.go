package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zproxy/zproxy/internal/devcerts"
)

const crm = "spiffe://acme.internal/crm"

// certificates writes a throw-away CA with the certificates of zproxy and of one caller.
func (d *demo) certificates(dir string) error {
	bundle, err := devcerts.Make(devcerts.Config{Callers: []string{crm}, Now: time.Now()})
	if err != nil {
		return err
	}
	d.certs = dir
	return bundle.Write(dir)
}

// meshClient calls as the CRM, or as nobody.
func (d *demo) meshClient(withCertificate bool) (*http.Client, error) {
	text, err := os.ReadFile(filepath.Join(d.certs, devcerts.CAFile))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("reading the throw-away CA: no certificate in it")
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if withCertificate {
		own, err := tls.LoadX509KeyPair(filepath.Join(d.certs, "crm.crt"), filepath.Join(d.certs, "crm.key"))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}, nil
}

// proven is the act in which a caller has a certificate, and its rule an organization.
func (t *tour) proven(ctx context.Context) {
	t.act("A service proves who it is, and stays within its organization",
		"The listener \"mesh\" asks for a client certificate; `zproxy certs dev` made these. The rule \"crm\"",
		"keeps its requests within one organization, wherever a request could name another.")
	within := `{"queries":[{"organizationIdQuery":{"organizationId":"` + t.organization + `"}}]}`
	t.mesh(ctx, true, within, http.StatusOK)
	t.mesh(ctx, true, strings.ReplaceAll(within, t.organization, "123"), http.StatusForbidden)
	t.mesh(ctx, false, within, 0)
}

// mesh lists users over TLS; status 0 is a handshake that is refused.
func (t *tour) mesh(ctx context.Context, withCertificate bool, body string, want int) {
	if t.err != nil {
		return
	}
	client, err := t.meshClient(withCertificate)
	if err != nil {
		t.err = err
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.meshURL+"/v2/users", strings.NewReader(body))
	if err != nil {
		t.err = err
		return
	}
	r.Header.Set("Content-Type", "application/json")
	as := ""
	if withCertificate {
		as = " --cert crm.crt --key crm.key"
	}
	t.say("     $ curl --cacert ca.crt%s -H 'Content-Type: application/json' -d '%s' %s/v2/users", as, body, t.meshURL)
	res, err := client.Do(r)
	if err != nil {
		t.say("     → %s\n", short(strings.TrimPrefix(errors.Unwrap(err).Error(), "remote error: "), 200))
		t.expect(want == 0, fmt.Sprintf("the handshake was refused, want status %d", want))
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	t.fail(err)
	t.say("     → %s  %s\n", res.Status, readable(text))
	t.expect(res.StatusCode == want, fmt.Sprintf("status %d, want %d", res.StatusCode, want))
}
