package devcerts_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
	"github.com/zproxy/zproxy/internal/devcerts"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachCallerIsWhoItsCertificateSays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	identities := []string{"spiffe://acme.internal/crm", "spiffe://acme.internal/hr/crm", "dns:portal.acme.internal"}
	b, err := devcerts.Make(devcerts.Config{Callers: identities, Now: time.Now()})
	check(t, err)
	check(t, b.Write(dir))
	verifier, err := clientcert.New(clientcert.Config{CAFile: filepath.Join(dir, devcerts.CAFile), Identity: []authn.Kind{authn.KindSPIFFE, authn.KindDNS}})
	check(t, err)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, devcerts.ServerFile), filepath.Join(dir, devcerts.ServerKey))
	check(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := verifier.Authenticate(r)
		check(t, err)
		_, _ = io.WriteString(w, id.Caller.String())
	}))
	server.TLS = verifier.ServerConfig(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	text, err := os.ReadFile(filepath.Join(dir, devcerts.CAFile))
	check(t, err)
	roots.AppendCertsFromPEM(text)
	for i, c := range b.Callers {
		own, err := tls.LoadX509KeyPair(filepath.Join(dir, c.CertificateFile), filepath.Join(dir, c.KeyFile))
		check(t, err)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}}
		res, err := (&http.Client{Transport: transport}).Get(server.URL)
		check(t, err)
		said, err := io.ReadAll(res.Body)
		check(t, err)
		check(t, res.Body.Close())
		transport.CloseIdleConnections()
		if string(said) != identities[i] || c.Identity != identities[i] {
			t.Errorf("%s is %s", identities[i], said)
		}
	}
}

func TestKeysArePrivateAndTheAuthoritysIsNotKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	b, err := devcerts.Make(devcerts.Config{Callers: []string{"dns:a.internal"}, Servers: []string{"zproxy.internal", "10.0.0.1"}, Now: time.Now()})
	check(t, err)
	check(t, b.Write(dir))
	files, err := os.ReadDir(dir)
	check(t, err)
	var names []string
	for _, f := range files {
		info, err := f.Info()
		check(t, err)
		names = append(names, f.Name())
		if strings.HasSuffix(f.Name(), ".key") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", f.Name(), info.Mode())
		}
	}
	if got := strings.Join(names, " "); got != "a.internal.crt a.internal.key ca.crt server.crt server.key" {
		t.Errorf("files %s", got)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v", info.Mode(), err)
	}
	if err := b.Write(dir); err == nil || !strings.Contains(err.Error(), "has ca.crt, server.crt, server.key, a.internal.crt, a.internal.key already") {
		t.Errorf("written twice: %v", err)
	}
	if err := b.Write(filepath.Join(dir, "ca.crt")); err == nil {
		t.Error("written into a file")
	}
}

func TestFaultyNamesAreRefused(t *testing.T) {
	for name, c := range map[string]devcerts.Config{
		"nobody":                    {},
		"an anonymous caller":       {Callers: []string{"anonymous:a"}},
		"a SPIFFE ID in upper case": {Callers: []string{"spiffe://ACME.internal/crm"}},
		"a DNS name with a dot":     {Callers: []string{"dns:a.internal."}},
		"a pattern":                 {Callers: []string{"spiffe://acme.internal/*"}},
		"a server with a port":      {Callers: []string{"dns:a.internal"}, Servers: []string{"a.internal:8443"}},
		"a server in upper case":    {Callers: []string{"dns:a.internal"}, Servers: []string{"A.internal"}},
	} {
		if _, err := devcerts.Make(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestFilesAreKeptWhileTheyLastAnotherDay(t *testing.T) {
	dir, began := t.TempDir(), time.Now()
	made := func(now time.Time) bool {
		t.Helper()
		b, err := devcerts.Make(devcerts.Config{Callers: []string{"dns:a.example"}, Now: now})
		check(t, err)
		wrote, err := b.Keep(dir, now)
		check(t, err)
		return wrote
	}
	if !made(began) || made(began) || made(began.Add(devcerts.Lifetime-25*time.Hour)) {
		t.Error("files that were good for another day were not kept")
	}
	check(t, os.WriteFile(filepath.Join(dir, devcerts.ServerFile), []byte("no certificate"), 0o600))
	if !made(began) {
		t.Error("a certificate that cannot be read was kept")
	}
	if !made(began.Add(devcerts.Lifetime - 23*time.Hour)) {
		t.Error("files that end within a day were kept")
	}
}

func TestNamesOfSystemUsers(t *testing.T) {
	for _, names := range [][]string{{""}, {"../x"}, {"Upper"}, {"a b"}, {"twice", "twice"}} {
		if _, err := devcerts.Make(devcerts.Config{Callers: []string{"dns:a.example"}, SystemUsers: names, Now: time.Now()}); err == nil {
			t.Errorf("%q were taken", names)
		}
	}
}
