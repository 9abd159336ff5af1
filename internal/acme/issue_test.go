package acme_test

import (
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/acme"
)

func TestAListenerThatDemandsClientCertificatesGetsItsOwn(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	m := mustNew(t, e.config(a))
	e.serve(m)
	started := time.Now()
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	t.Logf("obtained after %v", time.Since(started).Round(time.Millisecond))
	chain, err := e.get(a.roots(0), host)
	check(t, err)
	if err := chain[0].VerifyHostname(host); err != nil {
		t.Error(err)
	}
}

func TestEachHostGetsACertificateOfItsOwn(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{refuse: []string{"refused.example.com"}})
	c := e.config(a)
	c.Hosts = []string{"refused.example.com", host, "second.example.com"}
	m := mustNew(t, c)
	e.serve(m)
	run(t, m)
	until(t, "two certificates and a refusal", 30*time.Second, func() bool {
		s := m.Status()
		return s[0].Err != nil && s[1].Ready(time.Now()) && s[2].Ready(time.Now())
	})
	for _, name := range c.Hosts[1:] {
		chain, err := e.get(a.roots(0), name)
		check(t, err)
		if len(chain[0].DNSNames) != 1 || chain[0].DNSNames[0] != name {
			t.Errorf("%s gets a certificate of %v", name, chain[0].DNSNames)
		}
	}
}

func TestRejectedNoncesAreMadeGood(t *testing.T) {
	t.Setenv(nonceReject, "50") // of a hundred
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	c := e.config(a)
	c.Hosts = []string{host, "second.example.com", "third.example.com"} // so many requests that some are rejected
	m := mustNew(t, c)
	e.serve(m)
	run(t, m)
	until(t, "three certificates", 60*time.Second, func() bool {
		return !slices.ContainsFunc(m.Status(), func(s acme.Status) bool { return !s.Ready(time.Now()) })
	})
	rejected := strings.Count(e.log.String(), "server rejected our nonce")
	if rejected == 0 {
		t.Error("no nonce was rejected: nothing was tested")
	}
	t.Logf("%d nonces rejected", rejected)
	_, err := e.get(a.roots(0), host)
	check(t, err)
}

func TestLongChainsAreServedWhole(t *testing.T) {
	const intermediates = 5
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{chain: intermediates, alternates: 2})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	chain, err := e.get(a.roots(0), host)
	check(t, err)
	if len(chain) != 1+intermediates {
		t.Errorf("%d certificates are served", len(chain))
	}
	for i := range len(chain) - 1 {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			t.Errorf("certificate %d: %v", i, err)
		}
	}
	var unknown x509.UnknownAuthorityError
	if _, err := e.get(a.roots(1), host); err == nil || !strings.Contains(err.Error(), unknown.Error()) {
		t.Errorf("an alternate chain is served in place of the default: %v", err)
	}
}

// bound is a configuration with an external account binding.
func bound(t *testing.T, e *edge, a *authority, id, key string) acme.Config {
	t.Helper()
	c := e.config(a)
	c.Email = "operations@example.com"
	c.EABKeyID, c.EABKeyFile = id, filepath.Join(t.TempDir(), "mac")
	check(t, os.WriteFile(c.EABKeyFile, []byte(key+"\n"), 0o600))
	return c
}

var macKey = strings.Repeat("k7-MAC_canary-", 3) + "aa"

func TestAnExternalAccountIsBound(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{eab: map[string]string{"kid-1": macKey}})
	m := mustNew(t, bound(t, e, a, "kid-1", macKey))
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	_, err := e.get(a.roots(0), host)
	check(t, err)
	if strings.Contains(e.log.String(), macKey) {
		t.Error("the MAC key is in the log")
	}
}

// certmagic remembers an address for the whole process.
func TestAnAccountWithoutEmailGetsNoneOfAnotherListener(t *testing.T) {
	for _, email := range []string{"first@example.com", ""} {
		e := newEdge(t)
		a := newAuthority(t, e.port(), authorityOptions{})
		c := e.config(a)
		c.Email = email
		m := mustNew(t, c)
		e.serve(m)
		run(t, m)
		until(t, "a certificate", 30*time.Second, ready(m))
		if strings.Contains(e.log.String(), "first@example.com") != (email != "") {
			t.Errorf("with %q the account's address is wrong", email)
		}
	}
}

func TestAWrongExternalAccountIsRefusedAndSaysSo(t *testing.T) {
	other := base64.RawURLEncoding.EncodeToString([]byte("another key of thirty-two bytes.."))
	for name, make := range map[string]func(*testing.T, *edge, *authority) acme.Config{
		"no binding": func(_ *testing.T, e *edge, a *authority) acme.Config { return e.config(a) },
		"wrong key":  func(t *testing.T, e *edge, a *authority) acme.Config { return bound(t, e, a, "kid-1", other) },
		"wrong id":   func(t *testing.T, e *edge, a *authority) acme.Config { return bound(t, e, a, "kid-2", macKey) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			a := newAuthority(t, e.port(), authorityOptions{eab: map[string]string{"kid-1": macKey}})
			m := mustNew(t, make(t, e, a))
			e.serve(m)
			run(t, m)
			until(t, "the refusal is known", 30*time.Second, func() bool { return m.Status()[0].Err != nil })
			err := m.Status()[0].Err.Error()
			if ready(m)() || !strings.Contains(err, "urn:ietf:params:acme:error:") {
				t.Errorf("the error is %v", err)
			}
			for _, secret := range []string{other, macKey} {
				if strings.Contains(err+e.log.String(), secret) {
					t.Error("a MAC key is shown")
				}
			}
			t.Log(err)
		})
	}
}
