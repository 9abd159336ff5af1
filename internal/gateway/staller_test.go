package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/zproxy/zproxy/internal/audit"
)

const (
	pours   = "/v2/users/1" // an answer without end
	large   = "/v2/users/2" // one of largeBytes
	pauses  = "/v2/users/3" // a beginning, and the end after a while
	small   = "/v2/users/4"
	pausing = 2500 * time.Millisecond

	searches = "/zitadel.org.v2.OrganizationService/ListOrganizations"

	largeBytes = 8 << 20
)

const stallRules = `service_users: [{name: any, personal_access_token: {token_file: "$DIR/token", user_id: "287345091734099999"}}]
rules:
  - {name: all, callers: ["anonymous:local", "spiffe://acme.internal/crm"], operations: [zitadel.user.v2.UserService/GetUserByID, zitadel.org.v2.OrganizationService/ListOrganizations], as: any}
audit: {file: "$DIR/audit.jsonl"}
`

var blank = []byte(strings.Repeat(" ", 64<<10))

// staller is a gateway whose callers may stall, and ZITADEL behind it.
type staller struct {
	*live
	*authority
	crm   tls.Certificate
	begun atomic.Int64 // requests that ZITADEL got
	under atomic.Int64 // of them, those that it has
}

// startStaller serves plainly and over TLS one connection and one request at a time.
func startStaller(t *testing.T, stall string) *staller {
	t.Helper()
	return startStallerWith(t, "max_in_flight: 2", "connections: 1, stall: "+stall)
}

func startStallerWith(t *testing.T, upstreamLimits, limits string) *staller {
	t.Helper()
	s := &staller{authority: newAuthority(t)}
	s.crm = s.issue(spiffeID("spiffe://acme.internal/crm"))
	cert, key := pair(t, s.issue(forServer))
	upstream := httptest.NewServer(http.HandlerFunc(s.zitadel))
	t.Cleanup(upstream.Close)
	s.live = goLiveFrom(t, map[string]string{"token": "token", "server.crt": cert, "server.key": key, "ca.crt": s.pem(), "ca.crl": s.revoke(1)},
		"upstream: {issuer: \""+upstream.URL+"\", "+upstreamLimits+"}\n", `listeners:
  - {name: plain, address: "127.0.0.1:0", callers: {anonymous: local}}
  - {name: tls, address: "127.0.0.1:0", tls: {certificate_file: "$DIR/server.crt", key_file: "$DIR/server.key"}, callers: {client_certificate: {ca_file: "$DIR/ca.crt", crl_file: "$DIR/ca.crl"}}}
`, stallRules, "limits: {"+limits+"}\n")
	return s
}

func (s *staller) zitadel(w http.ResponseWriter, r *http.Request) {
	s.begun.Add(1)
	s.under.Add(1)
	defer s.under.Add(-1)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	piece := blank
	switch r.URL.Path {
	case pours:
		for r.Context().Err() == nil {
			_, _ = w.Write(piece)
		}
	case large:
		for range largeBytes / len(piece) {
			_, _ = w.Write(piece)
		}
	case pauses:
		_, _ = w.Write(piece[:10])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(pausing):
		case <-r.Context().Done():
		}
		_, _ = w.Write(piece[:10])
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

// dial connects with a small receive buffer, so that little is taken unasked.
func (s *staller) dial(t *testing.T, listener, protocol string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Address(listener).String())
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	check(t, c.(*net.TCPConn).SetReadBuffer(64<<10))
	if listener == "plain" {
		return c
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.cert)
	over := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{s.crm}, NextProtos: []string{protocol}})
	check(t, over.Handshake())
	return over
}

// ask sends a GET and reads nothing.
func (s *staller) ask(t *testing.T, listener, path string) net.Conn {
	t.Helper()
	c := s.dial(t, listener, "http/1.1")
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	check(t, err)
	return c
}

// ask2 does so over HTTP/2, with this much room for the answer in the stream;
// the connection has all there can be.
func (s *staller) ask2(t *testing.T, listener, path string, window uint32) (net.Conn, *http2.Framer) {
	t.Helper()
	c := s.dial(t, listener, "h2")
	_, err := io.WriteString(c, http2.ClientPreface)
	check(t, err)
	f := http2.NewFramer(c, c)
	check(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
	check(t, f.WriteWindowUpdate(0, 1<<31-1-65535))
	check(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(t, path), EndHeaders: true, EndStream: true}))
	return c, f
}

// cut waits until the request on path has its record and has left ZITADEL, and
// returns the record.
func (s *staller) cut(t *testing.T, path string) (found audit.Record) {
	t.Helper()
	eventually(t, "the record", func() bool {
		for _, r := range records(t, filepath.Join(s.dir, "audit.jsonl")) {
			if r.Kind == audit.Outcome && r.Path == path {
				found = r
				return true
			}
		}
		return false
	})
	eventually(t, "the end of ZITADEL's request", func() bool { return s.under.Load() == 0 })
	return found
}

// free waits until a new connection is let in and its request answered: both
// have one place only.
func (s *staller) free(t *testing.T, listener string) {
	t.Helper()
	eventually(t, "a free place", func() bool {
		c, err := net.Dial("tcp", s.Address(listener).String())
		check(t, err)
		defer c.Close()
		if listener == "tls" {
			roots := x509.NewCertPool()
			roots.AddCert(s.cert)
			c = tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{s.crm}})
		}
		_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", small)
		text := make([]byte, len("HTTP/1.1 200"))
		_, _ = io.ReadFull(c, text)
		return string(text) == "HTTP/1.1 200"
	})
}
