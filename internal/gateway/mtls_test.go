package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

// authority is a throw-away CA.
type authority struct {
	t      *testing.T
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
	above  [][]byte // that its certificates come with, itself among them; none for a root
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "throw-away"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1, 2, 3},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return &authority{t: t, cert: cert, key: key, serial: 1}
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// issue makes a certificate; change may make it faulty.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.serial++
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	check(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	check(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func spiffeID(id string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { u, _ := url.Parse(id); c.URIs = []*url.URL{u} }
}

func forServer(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
}

func (a *authority) revoke(number int64, serials ...*big.Int) string {
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: time.Now().Add(-time.Minute)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	check(a.t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// replace puts a file in place as operators do: whole, under its name.
func replace(t *testing.T, file, text string) {
	t.Helper()
	write(t, file+".new", text)
	check(t, os.Rename(file+".new", file))
}

func pair(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// mesh is a gateway whose callers prove who they are with certificates.
type mesh struct {
	*authority
	dir, address, admin string
	log                 *journal
	stop                func()
}

const meshFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners:
  - name: mesh
    address: 127.0.0.1:0
    tls: {certificate_file: "$DIR/server.crt", key_file: "$DIR/server.key"}
    callers: {client_certificate: {ca_file: "$DIR/ca.crt", crl_file: "$DIR/ca.crl"}}
service_users: [{name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "1000000000000001"}}]
rules:
  - {name: crm, callers: ["spiffe://acme.internal/crm", "dns:portal.acme.internal"], operations: [zitadel.user.v2.UserService/ListUsers], as: pat}
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
limits: {connections_per_caller: 100}
`

func startMesh(t *testing.T) *mesh {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	m := &mesh{authority: newAuthority(t), dir: t.TempDir(), log: new(journal)}
	write(t, filepath.Join(m.dir, "pat"), s.AddPAT(s.AddMachineUser("pat", "IAM_OWNER")))
	cert, key := pair(t, m.issue(forServer))
	for name, text := range map[string]string{"server.crt": cert, "server.key": key, "ca.crt": m.pem(), "ca.crl": m.revoke(1)} {
		write(t, filepath.Join(m.dir, name), text)
	}
	cfg, err := config.Parse("mesh.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", m.dir).Replace(meshFile)))
	check(t, err)
	g, err := gateway.New(cfg, gateway.Options{Log: zerolog.New(m.log)})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	var once sync.Once
	m.stop = func() { once.Do(func() { cancel(); check(t, <-ended) }) }
	t.Cleanup(m.stop)
	m.address, m.admin = g.Address("mesh").String(), g.Address("admin").String()
	for range 3000 {
		if g.Ready() {
			return m
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("not ready within 30 s")
	return nil
}

// client calls as who holds cert; nil for nobody.
func (m *mesh) client(cert *tls.Certificate, http2 bool) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(m.cert)
	c := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: http2}
	m.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func (m *mesh) list(c *http.Client) (*http.Response, string, error) {
	res, err := c.Post("https://"+m.address+"/v2/users", "application/json", strings.NewReader("{}"))
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

func (m *mesh) records() []audit.Record {
	f, err := os.Open(filepath.Join(m.dir, "audit.jsonl"))
	check(m.t, err)
	defer f.Close()
	all, err := audit.ReadAll(f)
	check(m.t, err)
	return all
}

// recorded waits for a record with this reason.
func (m *mesh) recorded(reason string) audit.Record {
	m.t.Helper()
	for range 3000 {
		for _, r := range m.records() {
			if r.Reason == reason {
				return r
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.t.Fatalf("no record with the reason %s in %+v", reason, m.records())
	return audit.Record{}
}

func TestCallersProveWhoTheyAreByCertificate(t *testing.T) {
	m := startMesh(t)
	crm := m.issue(spiffeID("spiffe://acme.internal/crm"))
	portal := m.issue(func(c *x509.Certificate) { c.DNSNames = []string{"portal.acme.internal"} })
	other := m.issue(spiffeID("spiffe://acme.internal/other"))
	for name, c := range map[string]struct {
		cert   tls.Certificate
		http2  bool
		status int
	}{
		"a SPIFFE ID over HTTP/1.1": {crm, false, 200}, "a SPIFFE ID over HTTP/2": {crm, true, 200},
		"a DNS name over HTTP/1.1": {portal, false, 200}, "a DNS name over HTTP/2": {portal, true, 200},
		"a caller without a rule": {other, true, 403},
	} {
		res, text, err := m.list(m.client(&c.cert, c.http2))
		if err != nil || res.StatusCode != c.status || (res.ProtoMajor == 2) != c.http2 {
			t.Errorf("%s: %v %s %v", name, res, text, err)
		}
	}
	found := map[string]bool{}
	for _, r := range m.records() {
		found[r.Caller] = true
		if len(r.Thumbprint) != 43 || r.Listener != "mesh" {
			t.Errorf("record %+v", r)
		}
	}
	if !found["spiffe://acme.internal/crm"] || !found["dns:portal.acme.internal"] || !found["spiffe://acme.internal/other"] {
		t.Errorf("callers %v", found)
	}
}

func TestRefusedHandshakesLeaveARecord(t *testing.T) {
	m := startMesh(t)
	stranger := newAuthority(t)
	bad := map[string]tls.Certificate{
		"certificate_untrusted": stranger.issue(spiffeID("spiffe://acme.internal/crm")),
		"certificate_expired": m.issue(func(c *x509.Certificate) {
			spiffeID("spiffe://acme.internal/crm")(c)
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}),
		"certificate_usage": m.issue(func(c *x509.Certificate) {
			spiffeID("spiffe://acme.internal/crm")(c)
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		"certificate_identity": m.issue(func(c *x509.Certificate) { c.Subject.CommonName = "crm" }),
	}
	for reason, cert := range bad {
		if res, text, err := m.list(m.client(&cert, true)); err == nil {
			t.Errorf("%s: answered %d %s", reason, res.StatusCode, text)
		}
		if r := m.recorded(reason); r.Effect != "deny" || r.Peer == "" || len(r.Thumbprint) != 43 || r.Caller != "" || r.Status != 0 {
			t.Errorf("%s: record %+v", reason, r)
		}
	}
	if _, _, err := m.list(m.client(nil, true)); err == nil {
		t.Error("answered without a certificate")
	}
	m.recorded("certificate_missing")
	plain, err := net.Dial("tcp", m.address)
	check(t, err)
	_, err = io.WriteString(plain, "GET /v2/users HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	m.recorded("tls_handshake")
	check(t, plain.Close())
	malformed, err := tls.Dial("tcp", m.address, func() *tls.Config {
		crm := m.issue(spiffeID("spiffe://acme.internal/crm"))
		c := m.client(&crm, false).Transport.(*http.Transport).TLSClientConfig.Clone()
		c.NextProtos = []string{"http/1.1"}
		return c
	}())
	check(t, err)
	defer malformed.Close()
	_, err = io.WriteString(malformed, "what is this\r\n\r\n")
	check(t, err)
	if r := m.recorded("malformed_request"); r.Status != 400 {
		t.Errorf("record %+v", r)
	}
}

func TestRevocationEndsConnectionsWithinSeconds(t *testing.T) {
	m := startMesh(t)
	crm := m.issue(spiffeID("spiffe://acme.internal/crm"))
	client := m.client(&crm, true)
	if res, text, err := m.list(client); err != nil || res.StatusCode != 200 {
		t.Fatalf("%v %s %v", res, text, err)
	}
	replace(t, filepath.Join(m.dir, "ca.crl"), m.revoke(2, crm.Leaf.SerialNumber))
	if r := m.recorded("certificate_revoked"); r.Caller != "spiffe://acme.internal/crm" {
		t.Errorf("record %+v", r)
	}
	if res, text, err := m.list(client); err == nil && res.StatusCode == 200 {
		t.Errorf("answered %s", text)
	}
}

func TestBadNewFilesKeepTheOldAndSaySo(t *testing.T) {
	m := startMesh(t)
	crm := m.issue(spiffeID("spiffe://acme.internal/crm"))
	replace(t, filepath.Join(m.dir, "server.crt"), "what is this")
	replace(t, filepath.Join(m.dir, "ca.crt"), "")
	said := ""
	for range 3000 {
		if said = m.get("/readyz"); strings.Contains(said, "server.crt") && strings.Contains(said, "ca.crt") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.HasPrefix(said, `{"ready":true`) || !strings.Contains(said, "server.crt") || !strings.Contains(said, "ca.crt") {
		t.Errorf("readiness is %s", said)
	}
	if text := m.get("/metrics"); !strings.Contains(text, `zproxy_certificate_reloads_total{listener="mesh",result="failed"} `) || !strings.Contains(text, `zproxy_certificate_expiry_timestamp_seconds{listener="mesh"} 1`) {
		t.Errorf("metrics do not tell of the refused reload")
	}
	if res, text, err := m.list(m.client(&crm, true)); err != nil || res.StatusCode != 200 {
		t.Errorf("%v %s %v", res, text, err)
	}
}

func (m *mesh) get(path string) string {
	res, err := http.Get("http://" + m.admin + path)
	check(m.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(m.t, err)
	return string(text)
}
