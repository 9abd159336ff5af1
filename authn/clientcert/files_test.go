package clientcert_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// badFile is the content of a file, and a part of what is said of it.
type badFile struct{ name, content, says string }

func badAuthorities(t testing.TB, w *world) []badFile {
	good := string(certPEM(w.root))
	leaf := w.inter.newLeaf(t)
	key, err := x509.MarshalPKCS8PrivateKey(ecKey(t, elliptic.P256()))
	check(t, err)
	return []badFile{
		{"empty", "", "is empty"},
		{"white space", " \n\t\n", "is empty"},
		{"garbage", "garbage", "no PEM"},
		{"garbage before", "garbage\n" + good, "before block 1"},
		{"garbage between", good + "garbage\n" + good, "before block 2"},
		{"garbage after", good + "garbage", "before block 2"},
		{"comment", "# Acme Root\n" + good, "no PEM"},
		{"cut short", good[:len(good)/2], "block 1 is damaged"},
		{"first of two cut short", good[:len(good)/2] + "\n" + good, "block 1 is damaged"},
		{"second of two cut short", good + good[:len(good)-10], "block 2 is damaged"},
		{"DER", string(w.root.chain[0]), "no PEM"},
		{"byte order mark", "\ufeff" + good, "no PEM"},
		{"private key too", good + string(pemOf("PRIVATE KEY", key)), "PRIVATE KEY"},
		{"CRL instead", string(pemOf("X509 CRL", newCRL(t, w.root, w.root))), "X509 CRL"},
		{"trusted certificate of openssl", string(pemOf("TRUSTED CERTIFICATE", w.root.chain[0])), "TRUSTED"},
		{"headers", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}, Bytes: w.root.chain[0]})), "headers"},
		{"empty block", string(pemOf("CERTIFICATE", nil)), "certificate 1"},
		{"malformed certificate", string(pemOf("CERTIFICATE", []byte{0x30, 0})), "certificate 1"},
		{"bytes after certificate", string(pemOf("CERTIFICATE", append(bytes.Clone(w.root.chain[0]), 0))), "trailing data"},
		{"caller's certificate", good + string(certPEM(leaf)), "it is no CA"},
		{"without basic constraints", string(certPEM(newCA(t, nil, "x", func(s *spec) { s.IsCA, s.BasicConstraintsValid = false, false }))), "it is no CA"},
		{"without keyCertSign", string(certPEM(newCA(t, nil, "x", keyUsage(x509.KeyUsageCRLSign)))), "keyCertSign"},
		{"critical extension", string(certPEM(newCA(t, nil, "x", critical))), "1.3.6.1.4.1.99999.1"},
		{"RSA of 1024 bits", string(certPEM(newCA(t, nil, "x", withKey(rsaKey(t, 1024))))), "1024 bits"},
		{"P-224", string(certPEM(newCA(t, nil, "x", withKey(ecKey(t, elliptic.P224()))))), "P-224"},
		{"too large", strings.Repeat(" ", 8<<20) + good, "larger than 8 MiB"},
	}
}

func badLists(t testing.TB, w *world) []badFile {
	list := func(o ...crlOption) string { return string(pemOf("X509 CRL", newCRL(t, w.root, w.root, o...))) }
	extended := func(id int, critical bool) crlOption {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Critical: critical, Value: []byte{0x30, 0}}}
		}
	}
	entry := func(e x509.RevocationListEntry) crlOption {
		return func(l *x509.RevocationList) {
			e.SerialNumber, e.RevocationTime = big.NewInt(7), epoch
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, e)
		}
	}
	entryExtended := func(id int) crlOption {
		return entry(x509.RevocationListEntry{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Critical: true, Value: []byte{0x30, 0}}}})
	}
	good, other := list(), newCA(t, nil, "Acme Root")
	der := newCRL(t, w.root, w.root)
	return []badFile{
		{"empty", "", "is empty"},
		{"garbage", "garbage", "no PEM"},
		{"garbage before", "garbage\n" + good, "before block 1"},
		{"garbage between", good + "garbage\n" + good, "before block 2"},
		{"cut short", good[:len(good)/2], "block 1 is damaged"},
		{"certificate instead", string(certPEM(w.root)), "CERTIFICATE"},
		{"malformed list", string(pemOf("X509 CRL", []byte{0x30, 0})), "list 1"},
		{"DER cut short", string(der[:len(der)-1]), "list 1"},
		{"DER with bytes after", string(der) + "\n", "bytes follow"},
		{"list with bytes after", good + string(pemOf("X509 CRL", append(bytes.Clone(der), 0))), "list 2: bytes follow"},
		{"delta", list(extended(27, true)), "delta"},
		{"delta that is not critical", list(extended(27, false)), "delta"},
		{"indirect or partial", list(extended(28, true)), "indirect or partial"},
		{"indirect or partial that is not critical", list(extended(28, false)), "indirect or partial"},
		{"critical extension", list(extended(99, true)), "2.5.29.99"},
		{"entry of another issuer", list(entryExtended(29)), "another issuer"},
		{"entry with critical extension", list(entryExtended(99)), "entry 7"},
		{"entry of delta lists", list(entry(x509.RevocationListEntry{ReasonCode: 8})), "removeFromCRL"},
		{"without end", string(pemOf("X509 CRL", withoutEnd(t, w.root))), "no nextUpdate"},
		{"without time", list(lasting(0, 0)), "ends before it begins"},
		{"signed by another CA of the name", string(pemOf("X509 CRL", newCRL(t, other, other))), "has not signed it"},
		{"SHA-1", list(func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.ECDSAWithSHA1 }), "SHA1"},
	}
}

// withoutEnd makes a list that has no nextUpdate, which Go does not make, of one
// that has: the lengths above it shrink, and it is signed anew.
func withoutEnd(t testing.TB, ca *issued) []byte {
	t.Helper()
	var parts struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	_, err := asn1.Unmarshal(newCRL(t, ca, ca), &parts)
	check(t, err)
	var fields []asn1.RawValue
	_, err = asn1.Unmarshal(parts.TBS.FullBytes, &fields)
	check(t, err)
	fields = append(fields[:4], fields[5:]...) // version, algorithm, issuer, thisUpdate, nextUpdate
	tbs, err := asn1.Marshal(fields)
	check(t, err)
	parts.TBS = asn1.RawValue{FullBytes: tbs}
	sum := sha256.Sum256(tbs)
	parts.Signature.Bytes, err = ca.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	check(t, err)
	parts.Signature.BitLength = 8 * len(parts.Signature.Bytes)
	der, err := asn1.Marshal(parts)
	check(t, err)
	return der
}

func TestBadFilesRefuseStartAndKeepTheOld(t *testing.T) {
	w := newWorld(t)
	cas, lists := certPEM(w.root), w.listsOf()
	v := w.start(spiffe, cas, lists)
	state, err := shake(t, v.ServerConfig(serverBase(t)), clientConfig(w.inter.newLeaf(t), versions["TLS 1.3"], nil))
	check(t, err)
	refuse := func(path, name, says string) {
		t.Helper()
		if made, err := clientcert.New(clientcert.Config{CAFile: w.ca, CRLFile: w.crl, Identity: spiffe}); made != nil || err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s %s: started with %v", filepath.Base(path), name, err)
		}
		if changed, err := v.Reload(); changed || err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "stay in use") {
			t.Errorf("%s %s: reloaded with %v %v", filepath.Base(path), name, changed, err)
		}
		if _, err := v.Caller(state); err != nil {
			t.Errorf("%s %s: the old is gone: %v", filepath.Base(path), name, err)
		}
	}
	for path, files := range map[string][]badFile{w.ca: badAuthorities(t, w), w.crl: badLists(t, w)} {
		was, err := os.ReadFile(path)
		check(t, err)
		for _, f := range files {
			w.write(path, []byte(f.content))
			refuse(path, f.name, f.says)
		}
		check(t, os.Remove(path))
		refuse(path, "missing", "create the file")
		check(t, os.Mkdir(path, 0o700))
		refuse(path, "directory", "no regular file")
		check(t, os.Remove(path))
		w.write(path, was)
	}
	if changed, err := v.Reload(); changed || err != nil {
		t.Errorf("the same files: %v %v", changed, err)
	}
}

func TestBadSettingsRefuseStart(t *testing.T) {
	w := newWorld(t)
	w.start(spiffe, certPEM(w.root), nil)
	for says, c := range map[string]clientcert.Config{
		"ca_file is not set": {Identity: spiffe},
		"identity is empty":  {CAFile: w.ca},
		"no name that":       {CAFile: w.ca, Identity: []authn.Kind{authn.KindUnix}},
		"listed twice":       {CAFile: w.ca, Identity: []authn.Kind{authn.KindDNS, authn.KindSPIFFE, authn.KindDNS}},
	} {
		if v, err := clientcert.New(c); v != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestReloadTakesEffectAtOnce(t *testing.T) {
	w := newWorld(t)
	next := newCA(t, nil, "Next Root")
	v := w.start(spiffe, certPEM(w.root), w.listsOf())
	config := v.ServerConfig(serverBase(t))
	caller := w.inter.newLeaf(t)
	state, err := shake(t, config, clientConfig(caller, versions["TLS 1.2"], nil))
	check(t, err)
	for _, step := range []struct {
		do     func()
		reason authn.Reason
	}{
		{func() { w.write(w.crl, w.listsOf(caller)) }, clientcert.ReasonRevoked},
		{func() { w.write(w.crl, w.listsOf()) }, ""},
		{func() { w.write(w.ca, certPEM(next)) }, clientcert.ReasonUntrusted},
		{func() { w.write(w.ca, certPEM(next, w.root)) }, ""},
	} {
		step.do()
		changed, err := v.Reload()
		if check(t, err); !changed {
			t.Error("nothing changed")
		}
		err = v.Check(state)
		if refused, _ := clientcert.Refusal(err); step.reason != "" && (refused == nil || refused.Reason != step.reason) || step.reason == "" && err != nil {
			t.Errorf("%v, want %q", err, step.reason)
		}
	}
	if end, ok := v.NextUpdate(); !ok || !end.Equal(epoch.Add(24*time.Hour)) {
		t.Errorf("lists end %v %v", end, ok)
	}
	if _, ok := w.start(spiffe, certPEM(w.root), nil).NextUpdate(); ok {
		t.Error("no list has an end")
	}
}
