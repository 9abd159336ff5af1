package gateway_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
)

// change makes a certificate another than a good one.
type change = func(*x509.Certificate)

// sans are the subject alternative names, each by its tag, byte by byte.
func sans(tagged ...string) change {
	var all []byte
	for i := 0; i < len(tagged); i += 2 {
		tag := map[string]int{"mail": 1, "dns": 2, "uri": 6, "ip": 7}[tagged[i]]
		b, _ := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(tagged[i+1])})
		all = append(all, b...)
	}
	value, _ := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: all})
	return func(c *x509.Certificate) {
		c.URIs, c.DNSNames = nil, nil
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}
	}
}

// posing signs handshakes with another key than its certificate's: this one is
// refused before its signature is looked at, and could not sign.
type posing struct {
	crypto.Signer
	public crypto.PublicKey
}

func (p *posing) Public() crypto.PublicKey { return p.public }

// leaf is a caller's certificate for key, good but for changes.
func (a *authority) leaf(key crypto.Signer, changes ...change) tls.Certificate {
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial<<16 + time.Now().UnixNano()&0xffff), Subject: pkix.Name{CommonName: "crm"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	spiffeID("spiffe://acme.internal/crm")(template)
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	check(a.t, err)
	if p, ok := key.(*posing); ok {
		key = p.Signer
	}
	return tls.Certificate{Certificate: append([][]byte{der}, a.above...), PrivateKey: key}
}

// below is a CA that a issued, whose leaves come with it.
func (a *authority) below(name string, changes ...change) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(a.t, err)
	made := a.leaf(key, append([]change{func(c *x509.Certificate) {
		c.Subject.CommonName, c.URIs, c.ExtKeyUsage = name, nil, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}}, changes...)...)
	cert, err := x509.ParseCertificate(made.Certificate[0])
	check(a.t, err)
	return &authority{t: a.t, cert: cert, key: key, serial: 1, above: made.Certificate}
}

// revocations is a CRL of a, signed by another if there is one.
func (a *authority) revocations(from, to time.Duration, signer *authority, revoked ...*big.Int) []byte {
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(from), NextUpdate: time.Now().Add(to)}
	for _, s := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: time.Now().Add(-time.Hour)})
	}
	issuer, key := *a.cert, a.key
	if signer != nil {
		issuer.PublicKey, key = signer.key.Public(), signer.key
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, &issuer, key)
	check(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// faulty are certificates with one fault each, by what the record says of them.
func faulty(t *testing.T, m *mesh) map[string]map[string]tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	check(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	good, stranger := m.below("good"), newAuthority(t)
	const hour = time.Hour
	revoked, ended, foreign, silent, future := m.below("revoked"), m.below("ended"), m.below("foreign"), m.below("silent"), m.below("future")
	bad := good.leaf(key)
	gone, err := x509.ParseCertificate(bad.Certificate[0])
	check(t, err)
	of := func(changes ...change) tls.Certificate { return good.leaf(key, changes...) }
	ca := func(changes ...change) tls.Certificate {
		return good.below("other", append([]change{func(c *x509.Certificate) { c.MaxPathLen = -1 }}, changes...)...).leaf(key)
	}
	usage := func(all ...x509.ExtKeyUsage) change { return func(c *x509.Certificate) { c.ExtKeyUsage = all } }
	bits := func(u x509.KeyUsage) change { return func(c *x509.Certificate) { c.KeyUsage = u } }
	life := func(from, to time.Duration) change {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
	}
	without := func(c tls.Certificate) tls.Certificate { c.Certificate = c.Certificate[:1]; return c }
	spoilt := func(how func([]byte) []byte) tls.Certificate {
		c := of()
		c.Certificate = append([][]byte{how(bytes.Clone(c.Certificate[0]))}, c.Certificate[1:]...)
		return c
	}
	many := of()
	for range 11 {
		many.Certificate = append(many.Certificate, good.above[0])
	}
	stolen := of()
	stolen.PrivateKey = other
	all := map[string]map[string]tls.Certificate{
		"certificate_missing":       {"none": {}},
		"certificate_expired":       {"leaf": of(life(-2*hour, -hour)), "CA": ca(life(-2*hour, -hour))},
		"certificate_not_yet_valid": {"leaf": of(life(hour, 2*hour)), "CA": ca(life(hour, 2*hour))},
		"certificate_usage": {
			"for servers": of(usage(x509.ExtKeyUsageServerAuth)), "for mail": of(usage(x509.ExtKeyUsageEmailProtection)), "for nothing": of(usage()), "for anything": of(usage(x509.ExtKeyUsageAny)),
			"CA for servers": ca(usage(x509.ExtKeyUsageServerAuth)), "key for encipherment": of(bits(x509.KeyUsageKeyEncipherment)),
			"key for certificates": of(bits(x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign)), "key for lists": of(bits(x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign)),
			"CA bit": of(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }),
		},
		"certificate_untrusted": {
			"another CA": stranger.leaf(key), "another CA below ours in name": stranger.below("good").leaf(key), "without the intermediate": without(of()), "too many": many,
			"CA without CA bit": ca(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, 0 }), "CA without keyCertSign": ca(bits(x509.KeyUsageCRLSign)),
			"issued by a caller": (&authority{t: t, cert: gone, key: key, above: bad.Certificate}).leaf(other), "path too long": good.below("short", func(c *x509.Certificate) { c.MaxPathLenZero = true }).below("long").leaf(key),
			"signature changed": spoilt(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), "name changed": spoilt(func(b []byte) []byte { return bytes.Replace(b, []byte("/crm"), []byte("/crn"), 1) }),
		},
		"certificate_name_constraint": {
			"host not permitted":    good.below("c1", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"other.internal"} }).leaf(key, sans("dns", "crm.acme.internal")),
			"host excluded":         good.below("c2", func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"acme.internal"} }).leaf(key, sans("dns", "crm.acme.internal")),
			"domain not permitted":  good.below("c3", func(c *x509.Certificate) { c.PermittedURIDomains = []string{"other.internal"} }).leaf(key),
			"domain excluded":       good.below("c4", func(c *x509.Certificate) { c.ExcludedURIDomains = []string{"acme.internal"} }).leaf(key),
			"constraint further up": good.below("c5", func(c *x509.Certificate) { c.PermittedURIDomains = []string{"other.internal"} }).below("c6").leaf(key),
		},
		"certificate_weak_key":           {"RSA of 1024 bits": good.leaf(small), "P-224": good.leaf(&posing{key, p224.Public()})},
		"certificate_weak_signature":     {"SHA-1": of(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), "SHA-1 above": ca(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })},
		"certificate_revoked":            {"leaf": bad, "intermediate": revoked.leaf(key)},
		"certificate_revocation_unknown": {"list that ended": ended.leaf(key), "list of another CA": foreign.leaf(key), "no list": silent.leaf(key), "list that has not begun": future.leaf(key)},
		"certificate_not_proven":         {"another's certificate": stolen},
		"certificate_malformed": {
			"garbage": spoilt(func([]byte) []byte { return []byte("garbage") }), "cut short": spoilt(func(b []byte) []byte { return b[:len(b)-1] }), "bytes follow": spoilt(func(b []byte) []byte { return append(b, 0) }),
			"critical extension": of(func(c *x509.Certificate) {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}})
			}),
			"NUL in an ID": of(sans("uri", "spiffe://acme.internal/crm\x00")), "percent in a domain": of(sans("uri", "spiffe://acme%2einternal/crm")), "not ASCII": of(sans("dns", "crm.acmé.internal")),
		},
		"certificate_identity": {"common name only": of(func(c *x509.Certificate) { c.URIs = nil }), "mail only": of(sans("mail", "crm@acme.internal")), "address only": of(sans("ip", "\x0a\x00\x00\x01")),
			"an ID and a host": of(sans("uri", "spiffe://acme.internal/crm", "dns", "crm.acme.internal")), "two IDs": of(sans("uri", "spiffe://acme.internal/crm", "uri", "spiffe://acme.internal/erp")),
			"an ID twice": of(sans("uri", "spiffe://acme.internal/crm", "uri", "spiffe://acme.internal/crm")), "an ID and a web address": of(sans("uri", "spiffe://acme.internal/crm", "uri", "https://acme.internal/")),
			"two hosts": of(sans("dns", "a.acme.internal", "dns", "b.acme.internal")), "a host and a wildcard": of(sans("dns", "a.acme.internal", "dns", "*.acme.internal"))},
	}
	for _, id := range []string{"SPIFFE://acme.internal/crm", "Spiffe://acme.internal/crm", "spiffe://Acme.internal/crm", "spiffe:///crm", "spiffe://acme.internal", "spiffe://acme.internal/", "spiffe://acme.internal/%63rm",
		"spiffe://acme.internal/ns%2Fcrm", "spiffe://acme.internal/crm%00", "spiffe://acme.internal:443/crm", "spiffe://crm@acme.internal/crm", "spiffe://acme.internal/crm?x=1", "spiffe://acme.internal/crm#x",
		"spiffe://acme.internal//crm", "spiffe://acme.internal/crm/", "spiffe://acme.internal/./crm", "spiffe://acme.internal/a/../crm", "spiffe://acme.internal/*", "https://acme.internal/crm", "unix:crm", "anonymous:local"} {
		all["certificate_identity"][id] = of(sans("uri", id))
	}
	for _, name := range []string{"CRM.acme.internal", "*.acme.internal", "*", "crm.acme.internal\x00.evil.com", "crm.acme.internal\x00", "crm.acme.internal.", ".acme.internal", "crm..internal", "", "10.0.0.1", "crm_1.acme.internal",
		"-crm.acme.internal", strings.Repeat("a", 64) + ".internal", "crm.acme.internal\n", "crm.acme.internal:443"} {
		all["certificate_identity"]["host "+name] = of(sans("dns", name))
	}
	lists := [][]byte{m.revocations(-hour, hour, nil, revoked.cert.SerialNumber), good.revocations(-hour, hour, nil, gone.SerialNumber), revoked.revocations(-hour, hour, nil), ended.revocations(-2*hour, -hour, nil), foreign.revocations(-hour, hour, stranger), future.revocations(hour, 2*hour, nil)}
	replace(t, filepath.Join(m.dir, "ca.crl"), string(bytes.Join(lists, nil)))
	return all
}

// Every faulty certificate is refused in a handshake with the running gateway,
// by TLS 1.2 and 1.3, and its reason is in the log and in the audit log.
func TestEveryFaultOfACertificateIsInLogAndAudit(t *testing.T) {
	m := startMesh(t)
	faults := faulty(t, m)
	check(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	m.until("the lists", func() bool { return strings.Contains(m.log.String(), `"message":"certificates reloaded"`) })
	type refused struct{ name, reason string }
	all, count := map[string]refused{}, 0
	for reason, certs := range faults {
		for name, cert := range certs {
			count++
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				all[m.refuse(t, name, cert, version)] = refused{name, reason}
			}
		}
	}
	t.Logf("%d faults", count)
	if count < 80 {
		t.Errorf("only %d faults", count)
	}
	m.until("all records", func() bool { return len(m.records()) >= len(all) })
	byPeer := map[string]audit.Record{}
	for _, r := range m.records() {
		byPeer[r.Peer] = r
	}
	log := m.log.String()
	for peer, want := range all {
		r := byPeer[peer]
		if r.Reason != want.reason || r.Effect != "deny" || r.Listener != "mesh" || r.Caller != "" || r.Status != 0 {
			t.Errorf("%s: recorded as %q, want %s: %+v", want.name, r.Reason, want.reason, r)
		}
		if !strings.Contains(log, `"peer":"`+peer+`","caller":"","reason":"`+want.reason+`"`) {
			t.Errorf("%s: the log says nothing of %s from %s", want.name, want.reason, peer)
		}
	}
}

// refuse makes a handshake that must end without an answer, and returns from where.
func (m *mesh) refuse(t *testing.T, name string, cert tls.Certificate, version uint16) string {
	t.Helper()
	conn, err := net.Dial("tcp", m.address)
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	over := tls.Client(conn, &tls.Config{
		InsecureSkipVerify: true, MinVersion: version, MaxVersion: version,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
	})
	_, err = io.WriteString(over, "GET /v2/users HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if err == nil {
		var answer []byte
		if answer, err = io.ReadAll(over); err == nil || len(answer) > 0 {
			t.Errorf("%s: answered %q %v", name, answer, err)
		}
	}
	return conn.LocalAddr().String()
}

func TestACallerHasItsShareOfConnectionsAndNoMore(t *testing.T) {
	m := startMesh(t)
	crm, portal := m.issue(spiffeID("spiffe://acme.internal/crm")), m.issue(func(c *x509.Certificate) { c.DNSNames = []string{"portal.acme.internal"} })
	for range 100 {
		c, err := tls.Dial("tcp", m.address, m.client(&crm, false).Transport.(*http.Transport).TLSClientConfig)
		check(t, err)
		defer c.Close()
	}
	if res, text, err := m.list(m.client(&crm, true)); err == nil {
		t.Errorf("the one too many was answered %d %s", res.StatusCode, text)
	}
	if r := m.recorded("too_many_connections"); r.Caller != "spiffe://acme.internal/crm" || r.Effect != "deny" || len(r.Thumbprint) != 43 {
		t.Errorf("record %+v", r)
	}
	if res, text, err := m.list(m.client(&portal, true)); err != nil || res.StatusCode != 200 {
		t.Errorf("another caller: %v %s %v", res, text, err)
	}
}
