package acme_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/acme"
	"github.com/zproxy/zproxy/internal/listener"
)

const host = "zproxy.example.com"

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// edge is a listener that demands client certificates.
type edge struct {
	t       *testing.T
	socket  net.Listener
	callers throwaway
	caller  tls.Certificate
	log     *buffer
	served  atomic.Int64 // requests that reached the handler
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	e := &edge{t: t, socket: l, callers: newCA(t, "callers"), log: new(buffer)}
	e.caller = e.callers.client(t)
	return e
}

func (e *edge) port() int { return e.socket.Addr().(*net.TCPAddr).Port }

func (e *edge) config(a *authority) acme.Config {
	return acme.Config{
		Hosts: []string{host}, Directory: a.directory(), CAFile: a.caFile,
		Storage: filepath.Join(e.t.TempDir(), "acme"), Log: zerolog.New(e.log).Level(zerolog.DebugLevel),
	}
}

// serve serves with m's certificates until the test ends, as zproxy does.
func (e *edge) serve(m *acme.Manager) {
	secured := listener.TLS(e.socket, m.TLSConfig(&tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: e.callers.pool(),
		NextProtos: []string{"h2", "http/1.1"},
	}), func(_ *tls.Conn, err error) { _, _ = fmt.Fprintln(e.log, err) })
	observed := listener.Observe(secured, func(listener.ConnInfo, int) {})
	server := &http.Server{
		Handler: observed.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e.served.Add(1)
			_, _ = fmt.Fprint(w, r.TLS.PeerCertificates[0].DNSNames[0])
		})),
		ConnContext: observed.ConnContext, Protocols: new(http.Protocols),
		ErrorLog: log.New(e.log, "", 0),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(observed) }()
	e.t.Cleanup(func() { _ = server.Close(); <-done })
}

// run runs m until stop is called or the test ends.
func run(t *testing.T, m *acme.Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			check(t, err)
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// get makes a request on a connection of its own, as a caller with a client
// certificate, and returns the chain that was served.
func (e *edge) get(roots *x509.CertPool, name string) ([]*x509.Certificate, error) {
	transport := &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name, Certificates: []tls.Certificate{e.caller}},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	r, err := client.Get("https://" + e.socket.Addr().String())
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "caller.example" || r.ProtoMajor != 2 {
		return nil, fmt.Errorf("the answer is %s %q, %v", r.Proto, body, err)
	}
	return r.TLS.PeerCertificates, nil
}

// until waits for what a manager does in the background.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func ready(m *acme.Manager) func() bool {
	return func() bool { return m.Status()[0].Ready(time.Now()) }
}

func mustNew(t *testing.T, c acme.Config) *acme.Manager {
	t.Helper()
	m, err := acme.New(c)
	check(t, err)
	return m
}
