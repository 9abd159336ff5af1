package workload_test

import (
	"net/http/httptest"
	"testing"
)

// BenchmarkVerify compares tokens that were never seen with one that was.
func BenchmarkVerify(b *testing.B) {
	i := issuer(b, nil)
	c := callers(b, i)
	b.Run("seen", func(b *testing.B) {
		b.ReportAllocs()
		for token := good("rsa"); b.Loop(); {
			if _, err := c.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, kid := range []string{"rsa", "p256", "ed"} {
		token := good(kid)
		b.Run(kid, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := callers(b, i).Verify(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	c := callers(b, issuer(b, nil))
	r := httptest.NewRequest("GET", "/", nil)
	token := []string{"Bearer " + good("rsa")}
	b.ReportAllocs()
	for b.Loop() {
		r.Header["Authorization"] = token
		if _, err := c.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}
