package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// The same request through a bare ReverseProxy and through zproxy, one after
// the other, so that their ratio holds on a noisy machine.
func BenchmarkProxied(b *testing.B) {
	up := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"user":{"username":"alice"}}`)
	})
	b.Run("BareReverseProxy", func(b *testing.B) {
		at := httptest.NewServer(up)
		defer at.Close()
		u, _ := url.Parse(at.URL)
		bare := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }})
		defer bare.Close()
		get(b, bare.URL+"/v2/users/1", 1)
	})
	b.Run("HTTP1", func(b *testing.B) { get(b, newGateway(b, up, options{}).url+"/v2/users/1", 1) })
	b.Run("HTTP2", func(b *testing.B) { get(b, newGateway(b, up, options{}).url+"/v2/users/1", 2) })
}

func get(b *testing.B, url string, major int) {
	c := client(b, major)
	b.ReportAllocs()
	for b.Loop() {
		res, err := c.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}
