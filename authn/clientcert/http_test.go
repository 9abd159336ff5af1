package clientcert_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// told is what Connections reported.
type told struct {
	id      authn.Identity
	refused *authn.Error
}

// serve serves the callers of v as a listener would: "/" says who called,
// "/stream" goes on until the connection ends, and "/stuck" beyond that.
func serve(t *testing.T, v *clientcert.Verifier) (string, chan told) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	reports, stop := make(chan told, 16), make(chan struct{})
	conns := v.NewConnections(func(id authn.Identity, err *authn.Error) { reports <- told{id, err} })
	s := &http.Server{
		TLSConfig: v.ServerConfig(serverBase(t)), ConnState: conns.ConnState, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := v.Authenticate(r)
			var refused *authn.Error
			if errors.As(err, &refused) {
				http.Error(w, string(refused.Reason), http.StatusUnauthorized)
				return
			}
			fmt.Fprintf(w, "%s %s %s", r.Proto, id.Caller, id.Thumbprint)
			switch r.URL.Path {
			case "/stuck": // heeds no context
				_ = http.NewResponseController(w).Flush()
				<-stop
			case "/stream":
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = s.ServeTLS(l, "", "") })
	all.Go(func() { conns.Run(ctx) })
	t.Cleanup(func() { close(stop); cancel(); _ = s.Close(); all.Wait() })
	return l.Addr().String(), reports
}

func client(t *testing.T, c *issued, proto string) *http.Client {
	config := clientConfig(c, tls.VersionTLS13, nil)
	tr := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(proto == "HTTP/1.1")
	tr.Protocols.SetHTTP2(proto == "HTTP/2.0")
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) (int, string, error) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

var protocols = []string{"HTTP/1.1", "HTTP/2.0"}

func TestCallersAreNamedOverHTTP(t *testing.T) {
	for _, proto := range protocols {
		t.Run(proto, func(t *testing.T) {
			w := newWorld(t)
			addr, reports := serve(t, w.start(spiffe, certPEM(w.root), w.listsOf()))
			caller := w.inter.newLeaf(t)
			c := client(t, caller, proto)
			for range 3 {
				status, body, err := get(t, c, "https://"+addr+"/")
				if want := proto + " " + crm + " " + clientcert.Thumbprint(caller.cert); err != nil || status != 200 || body != want {
					t.Errorf("%d %q %v", status, body, err)
				}
			}
			if len(reports) > 0 {
				t.Errorf("reported %+v", <-reports)
			}
		})
	}
}

// A stream is open and another connection is idle when the caller is revoked, or its certificate ends.
func TestLongConnectionsEndWithTheirCertificates(t *testing.T) {
	for _, proto := range protocols {
		for reason, spoil := range map[authn.Reason]func(*world, *issued){
			clientcert.ReasonRevoked: func(w *world, c *issued) { w.revoke(c) },
			clientcert.ReasonExpired: func(w *world, _ *issued) { w.offset.Store(int64(2 * time.Minute)) },
		} {
			t.Run(fmt.Sprint(proto, " ", reason), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				addr, reports := serve(t, w.start(spiffe, certPEM(w.root), w.listsOf()))
				caller, other := w.inter.newLeaf(t, between(-time.Hour, time.Minute)), w.inter.newLeaf(t)
				good := client(t, other, proto)
				res, err := client(t, caller, proto).Get("https://" + addr + "/stream")
				check(t, err)
				defer res.Body.Close()
				_, _, err = get(t, good, "https://"+addr+"/")
				check(t, err)
				spoil(w, caller)
				began := time.Now()
				_, err = io.ReadAll(res.Body)
				if took := time.Since(began); err == nil || took > 3*time.Second {
					t.Errorf("ended after %v with %v", took, err)
				}
				got := <-reports
				if got.refused.Reason != reason || got.id.Caller.String() != crm || got.id.Thumbprint != clientcert.Thumbprint(caller.cert) || got.id.Peer == "" {
					t.Errorf("reported %+v", got)
				}
				if status, _, err := get(t, good, "https://"+addr+"/"); err != nil || status != 200 {
					t.Errorf("another caller: %d %v", status, err)
				}
			})
		}
	}
}

func TestRefusedHandshakesAreReported(t *testing.T) {
	w := newWorld(t)
	addr, reports := serve(t, w.start(spiffe, certPEM(w.root), nil))
	for reason, c := range map[authn.Reason]*issued{
		clientcert.ReasonMissing:   nil,
		clientcert.ReasonUntrusted: newCA(t, nil, "Evil").newLeaf(t),
		clientcert.ReasonMalformed: {key: w.inter.key, chain: [][]byte{{1}}},
		clientcert.ReasonIdentity:  w.inter.newLeaf(t, noNames),
	} {
		for _, proto := range protocols {
			if _, _, err := get(t, client(t, c, proto), "https://"+addr+"/"); err == nil {
				t.Errorf("%s %s: answered", proto, reason)
			}
			got := <-reports
			if got.refused.Reason != reason || got.id.Peer == "" || !got.id.Caller.IsZero() {
				t.Errorf("reported %+v, want %s", got, reason)
			}
			if c != nil && c.cert != nil && got.id.Thumbprint != clientcert.Thumbprint(c.cert) {
				t.Errorf("%s: thumbprint %q", reason, got.id.Thumbprint)
			}
		}
	}
	c, err := net.Dial("tcp", addr)
	check(t, err)
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	check(t, err)
	_, _ = io.ReadAll(c)
	check(t, c.Close())
	if _, _, err := get(t, client(t, w.inter.newLeaf(t), "HTTP/1.1"), "https://"+addr+"/"); err != nil || len(reports) > 0 {
		t.Errorf("plain HTTP was reported as a certificate's fault, or %v", err)
	}
}

func TestEachRequestIsJudgedAnew(t *testing.T) {
	w := newWorld(t)
	v := w.start(spiffe, certPEM(w.root), w.listsOf())
	caller := w.inter.newLeaf(t)
	state, err := shake(t, v.ServerConfig(serverBase(t)), clientConfig(caller, tls.VersionTLS13, nil))
	check(t, err)
	ask := func(state *tls.ConnectionState, fields ...string) (authn.Identity, authn.Reason) {
		r := httptest.NewRequest("GET", "/", nil)
		r.TLS = state
		for _, name := range fields {
			r.Header.Set(name, "")
		}
		id, err := v.Authenticate(r)
		if id.Peer != r.RemoteAddr {
			t.Errorf("peer %q", id.Peer)
		}
		if refused, ok := clientcert.Refusal(err); ok {
			return id, refused.Reason
		}
		return id, ""
	}
	if id, reason := ask(&state); reason != "" || id.Caller.String() != crm {
		t.Errorf("good: %+v %s", id, reason)
	}
	for _, name := range []string{"Origin", "Sec-Fetch-Site", "Sec-WebSocket-Key"} {
		if id, reason := ask(&state, name); reason != authn.ReasonBrowser || !id.Caller.IsZero() {
			t.Errorf("%s: %+v %s", name, id, reason)
		}
	}
	unfinished := state
	unfinished.HandshakeComplete = false
	for name, s := range map[string]*tls.ConnectionState{"without TLS": nil, "no certificate": {HandshakeComplete: true}, "unfinished": &unfinished} {
		if id, reason := ask(s); reason != clientcert.ReasonMissing || !id.Caller.IsZero() {
			t.Errorf("%s: %+v %s", name, id, reason)
		}
	}
	w.revoke(caller)
	if id, reason := ask(&state); reason != clientcert.ReasonRevoked || !id.Caller.IsZero() || id.Thumbprint != clientcert.Thumbprint(caller.cert) {
		t.Errorf("revoked: %+v %s", id, reason)
	}
	w.revoke()
	w.offset.Store(int64(61 * time.Minute))
	if _, reason := ask(&state); reason != clientcert.ReasonExpired {
		t.Errorf("expired: %s", reason)
	}
	w.offset.Store(int64(-61 * time.Minute))
	if _, reason := ask(&state); reason != clientcert.ReasonNotYetValid {
		t.Errorf("clock set back: %s", reason)
	}
}
