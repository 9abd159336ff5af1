package serviceuser_test

import (
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

func benchSource(b testing.TB, c serviceuser.Credential) *serviceuser.Source {
	b.Helper()
	s := mustNew(b, serviceuser.Config{}, c)
	ctx := b.Context()
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	b.Cleanup(func() { <-done })
	if _, err := s.Next(ctx, nil); err != nil {
		b.Fatal(err)
	}
	return s
}

// The clock makes the difference: a token that ends is compared with the wall
// clock each time, so that none is handed out after its end.
func BenchmarkToken(b *testing.B) {
	for name, c := range map[string]serviceuser.Credential{
		"ends":  serviceuser.SystemUser("p", writeFile(b, pkcs1(testKey())), issuer),
		"stays": serviceuser.PersonalAccessToken(writeFile(b, "pat")),
	} {
		b.Run(name, func(b *testing.B) {
			s := benchSource(b, c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Token(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTokenAllocatesNothing(t *testing.T) {
	s := benchSource(t, serviceuser.SystemUser("p", writeFile(t, pkcs1(testKey())), issuer))
	if n := testing.AllocsPerRun(1000, func() { _, _ = s.Token() }); n != 0 {
		t.Errorf("%v allocations with a token", n)
	}
	none := mustNew(t, serviceuser.Config{}, serviceuser.PersonalAccessToken(writeFile(t, "pat"))) // never run
	if n := testing.AllocsPerRun(1000, func() { _, _ = none.Token() }); n != 0 {
		t.Errorf("%v allocations without a token", n)
	}
}

func TestTokenNeverWaits(t *testing.T) {
	s := benchSource(t, serviceuser.SystemUser("p", writeFile(t, pkcs1(testKey())), issuer))
	const calls = 100_000
	start := time.Now()
	for range calls {
		_, _ = s.Token()
	}
	// Generous: the machine is shared, and the race detector may be on.
	if each := time.Since(start) / calls; each > 2*time.Microsecond {
		t.Errorf("Token takes %v", each)
	}
}
