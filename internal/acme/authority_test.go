package acme_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

// Pebble takes these from the environment only: checks without its random
// pauses, no nonce rejected and no check skipped, unless a test says so.
func TestMain(m *testing.M) {
	if text := os.Getenv(childConfig); text != "" {
		if err := child(text); err != nil {
			log.Fatal(err)
		}
		return
	}
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", nonceReject: "0", "PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	// Pebble's validation authority has no end.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))
}

const nonceReject = "PEBBLE_WFE_NONCEREJECT"

// authority is an ACME server of Pebble, in this process, over HTTPS.
type authority struct {
	t       *testing.T
	address string
	caFile  string // trusted root of its own server
	port    int
	options authorityOptions
	issuing *ca.CAImpl
	handler http.Handler
	cert    tls.Certificate
	server  *http.Server // nil while it is down
}

type authorityOptions struct {
	lifetime   time.Duration
	chain      int // intermediates
	alternates int
	eab        map[string]string // key id to MAC key; not empty: required
	refuse     []string          // names
	advice     string            // to the renewal of any certificate; empty: Pebble's own
}

// newAuthority starts one that checks hosts at 127.0.0.1 on the given port.
func newAuthority(t *testing.T, port int, o authorityOptions) *authority {
	t.Helper()
	a := &authority{t: t, port: port, options: o}
	a.found()
	root := newCA(t, "directory root")
	a.cert = root.server(t, "127.0.0.1")
	a.caFile = filepath.Join(t.TempDir(), "root.pem")
	check(t, os.WriteFile(a.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw}), 0o600))
	a.address = "127.0.0.1:0"
	a.up()
	t.Cleanup(a.down)
	return a
}

// found makes it anew, with another chain and without accounts.
func (a *authority) found() {
	a.t.Helper()
	quiet, o := log.New(io.Discard, "", 0), a.options
	store := db.NewMemoryStore()
	for id, key := range o.eab {
		check(a.t, store.AddExternalAccountKeyByID(id, key))
	}
	for _, name := range o.refuse {
		check(a.t, store.AddBlockedDomain(name))
	}
	profiles := map[string]ca.Profile{"default": {Description: "default", ValidityPeriod: uint64(o.lifetime / time.Second)}}
	a.issuing = ca.New(quiet, store, "", "ecdsa", o.alternates, max(o.chain, 1), profiles)
	checks := va.New(quiet, 0, a.port, true, resolver(a.t), store)
	front := wfe.New(quiet, store, checks, a.issuing, []string{"pebble.example"}, true, len(o.eab) > 0, 1, 1)
	mux := front.Handler()
	a.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.advice != "" && strings.Contains(r.URL.Path, "/renewalInfo/") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, o.advice)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (a *authority) directory() string { return "https://" + a.address + wfe.DirectoryPath }

// up opens it, at the same address as before.
func (a *authority) up() {
	a.t.Helper()
	l, err := net.Listen("tcp", a.address)
	check(a.t, err)
	a.address = l.Addr().String()
	a.server = &http.Server{
		Handler: a.handler, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{a.cert}},
	}
	server := a.server
	go func() { _ = server.ServeTLS(l, "", "") }()
}

// down closes it with all its connections.
func (a *authority) down() {
	if a.server != nil {
		_ = a.server.Close()
		a.server = nil
	}
}

// roots are what callers trust: the root of the chain that is served by default.
func (a *authority) roots(chain int) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.issuing.GetRootCert(chain).Cert)
	return pool
}

// resolver answers every name with 127.0.0.1.
func resolver(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			answer.Answer = append(answer.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1},
				A:   net.IPv4(127, 0, 0, 1),
			})
		}
		_ = w.WriteMsg(answer)
	})}
	started, done := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(started) }
	go func() { done <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		check(t, server.ShutdownContext(ctx))
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
