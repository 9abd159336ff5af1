package clientcert_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// A caller has its share of connections, whatever certificates it holds; others have theirs.
func TestConnectionsOfOneCallerAreBounded(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			w := newWorld(t)
			reports := make(chan told, 16)
			conns := w.start(spiffe, certPEM(w.root), nil).NewConnections(func(id authn.Identity, err *authn.Error) { reports <- told{id, err} })
			conns.SetMost(2)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
			s.Config.ConnState = conns.ConnState
			s.EnableHTTP2 = true
			base := serverBase(t)
			s.TLS = w.verifier.ServerConfig(base)
			s.StartTLS()
			defer s.Close()
			renewed := []*issued{w.inter.newLeaf(t), w.inter.newLeaf(t)}
			served := func(caller *issued) (*http.Client, bool) {
				c := client(t, caller, proto)
				_, text, err := get(t, c, s.URL)
				return c, err == nil && text == "served"
			}
			first, ok := served(renewed[0])
			if !ok {
				t.Fatal("the first connection was refused")
			}
			if _, ok = served(renewed[1]); !ok {
				t.Fatal("the second connection was refused")
			}
			if _, ok = served(renewed[0]); ok {
				t.Error("a third connection was served")
			}
			if got := <-reports; got.refused.Reason != clientcert.ReasonConnections || got.id.Caller.String() != crm || got.id.Peer == "" {
				t.Errorf("reported %+v", got)
			}
			if _, ok = served(w.inter.newLeaf(t, names(uri("spiffe://acme.internal/erp")))); !ok {
				t.Error("another caller was refused")
			}
			first.CloseIdleConnections()
			for range 6000 { // its place is given back when the server sees the end
				if _, ok = served(renewed[0]); ok {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
			t.Error("a place that was left was not given back")
		})
	}
}

func TestWithoutABoundACallerHasAnyNumberOfConnections(t *testing.T) {
	w := newWorld(t)
	addr, _ := serve(t, w.start(spiffe, certPEM(w.root), nil))
	caller := w.inter.newLeaf(t)
	for range 20 {
		c, err := tls.Dial("tcp", addr, clientConfig(caller, tls.VersionTLS13, nil))
		check(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		check(t, err)
		_, err = c.Read(make([]byte, 12))
		check(t, err)
	}
}
