package clientcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"runtime"
	"testing"
	"time"
)

// listOf makes a CRL of so many certificates, with serial numbers as CAs give them.
func listOf(t testing.TB, entries int) (der []byte, revoked *big.Int, ca *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Large"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}, NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	base := new(big.Int).Lsh(big.NewInt(1), 127)
	for i := range entries {
		revoked = new(big.Int).Add(base, big.NewInt(int64(i)))
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: revoked, RevocationTime: time.Now(), ReasonCode: 1})
	}
	if der, err = x509.CreateRevocationList(rand.Reader, list, ca, key); err != nil {
		t.Fatal(err)
	}
	return der, revoked, ca
}

// A list of 200,000 certificates holds some tens of MiB, looking one up in it
// costs what it costs in a short one, and its signature is checked once, not for
// each certificate.
func TestALargeListIsNoBurden(t *testing.T) {
	entries := 200_000
	if raceEnabled { // which makes making it slow
		entries = 10_000
	}
	der, last, ca := listOf(t, entries)
	before, begin := heapInUse(), time.Now()
	large, err := parseCRLs(der)
	if err != nil {
		t.Fatal(err)
	}
	took, held := time.Since(begin), heapInUse()-before
	t.Logf("%d KiB of CRL take %s to read and %d KiB to hold", len(der)>>10, took.Round(time.Millisecond), held>>10)
	if held > int64(entries)*200 {
		t.Errorf("%d KiB are held", held>>10)
	}
	if !large[0].lists(last) || large[0].lists(new(big.Int).Add(last, big.NewInt(1))) {
		t.Error("the list has not what it has")
	}
	shortDER, _, _ := listOf(t, 1)
	short, err := parseCRLs(shortDER)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := fastest(func() { short[0].lists(last) }), fastest(func() { large[0].lists(last) }); b > 20*a+time.Microsecond {
		t.Errorf("looking up takes %s, and %s in a short list", b, a)
	}
	begin = time.Now()
	if err := large[0].signedBy(ca); err != nil {
		t.Fatal(err)
	}
	first := time.Since(begin)
	if again := fastest(func() { _ = large[0].signedBy(ca) }); !raceEnabled && again > first/10 {
		t.Errorf("the signature takes %s at first, and %s again", first, again)
	}
	runtime.KeepAlive(large)
}

// fastest is how long f takes where nothing disturbs it.
func fastest(f func()) time.Duration {
	best := time.Hour
	for range 20 {
		begin := time.Now()
		for range 1000 {
			f()
		}
		best = min(best, time.Since(begin)/1000)
	}
	return best
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
