package clientcert_test

import (
	"crypto/tls"
	"testing"
)

// What each request costs: the caller is named anew from what was verified.
func BenchmarkCaller(b *testing.B) {
	w := newWorld(b)
	v := w.start(spiffe, certPEM(w.root), w.listsOf())
	state, err := shake(b, v.ServerConfig(serverBase(b)), clientConfig(w.inter.newLeaf(b), tls.VersionTLS13, nil))
	check(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Check(state); err != nil {
			b.Fatal(err)
		}
	}
}

// What a handshake costs beside crypto/tls's own part.
func BenchmarkVerification(b *testing.B) {
	w := newWorld(b)
	v := w.start(spiffe, certPEM(w.root), w.listsOf())
	state, err := shake(b, v.ServerConfig(serverBase(b)), clientConfig(w.inter.newLeaf(b), tls.VersionTLS13, nil))
	check(b, err)
	lists := [][]byte{w.listsOf(), w.listsOf()}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		w.write(w.crl, lists[i%2])
		if _, err := v.Reload(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := v.Check(state); err != nil {
			b.Fatal(err)
		}
	}
}
