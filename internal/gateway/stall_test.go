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

// A caller that takes no byte of its answer is cut off: its record says so, its
// connection and its place at ZITADEL are free again, and ZITADEL's request ends.
func TestCallersThatTakeNothingAreCutOff(t *testing.T) {
	for _, listener := range []string{"plain", "tls"} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(listener+" "+protocol, func(t *testing.T) {
				t.Parallel()
				s := startStaller(t, "500ms")
				if protocol == "HTTP/2" {
					s.ask2(t, listener, pours, 1<<31-1)
				} else {
					s.ask(t, listener, pours)
				}
				if r := s.cut(t, pours); r.Reason != "caller_stalled" || r.BytesOut == 0 {
					t.Errorf("record %+v", r)
				}
				s.free(t, listener)
			})
		}
	}
}

// Over HTTP/2 a caller may read all frames and open no window: the stream is cut,
// and no other on its connection. Where the answer is a small one, too, or a
// refusal: what net/http holds after the request has ended would never end.
func TestStreamsThatAreGivenNoRoomAreCutOff(t *testing.T) {
	for _, c := range []struct {
		listener, path string
		window         uint32
		status         int
		reason         string
	}{
		{"plain", pours, 65535, 200, "caller_stalled"}, {"tls", large, 1, 200, "caller_stalled"}, {"plain", small, 0, 200, "caller_stalled"},
		{"tls", "/v2/users/5/nothing", 0, 404, "unknown_operation"},
	} {
		t.Run(c.listener+" "+c.path, func(t *testing.T) {
			t.Parallel()
			s := startStaller(t, "500ms")
			_, f := s.ask2(t, c.listener, c.path, c.window)
			for ended := false; !ended; {
				frame, err := f.ReadFrame()
				check(t, err)
				switch frame := frame.(type) {
				case *http2.RSTStreamFrame:
					ended = frame.StreamID == 1
				case *http2.DataFrame:
					if frame.StreamEnded() {
						t.Fatal("the answer came whole")
					}
				}
			}
			if r := s.cut(t, c.path); r.Status != c.status || r.Reason != c.reason {
				t.Errorf("record %+v", r)
			}
			check(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block(t, small), EndHeaders: true, EndStream: true}))
			for answered := false; !answered; {
				frame, err := f.ReadFrame()
				check(t, err)
				h, ok := frame.(*http2.HeadersFrame)
				answered = ok && h.StreamID == 3
			}
		})
	}
}

// A caller that sends nothing more of its body is cut off, where the body goes
// to ZITADEL as it comes.
func TestCallersThatSendNothingMoreAreCutOff(t *testing.T) {
	s := startStaller(t, "500ms")
	for _, listener := range []string{"plain", "tls"} {
		c := s.dial(t, listener, "http/1.1")
		_, err := fmt.Fprintf(c, "POST "+searches+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{%s", strings.Repeat(" ", 70_000))
		check(t, err)
		if status, text := answer(t, c, 20*time.Second); status != http.StatusRequestTimeout || !strings.Contains(text, "caller_stalled") {
			t.Errorf("HTTP %d %s", status, text)
		}
		if r := s.cut(t, searches); r.Reason != "caller_stalled" || r.Status != http.StatusRequestTimeout {
			t.Errorf("record %+v", r)
		}
		s.free(t, listener)
	}
}

// Who takes a little again and again lives on, and so does a stream on which
// there is nothing to take.
func TestSlowAndIdleCallersLiveOn(t *testing.T) {
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		s := startStaller(t, "2s")
		c := s.ask(t, "tls", large)
		text := make([]byte, 16<<10)
		for range 60 { // twice as long as the limit
			_, err := io.ReadFull(c, text)
			check(t, err)
			time.Sleep(50 * time.Millisecond)
		}
		for all := 60 * len(text); all < largeBytes; {
			n, err := c.Read(text)
			all += n
			check(t, err)
		}
	})
	t.Run("idle HTTP/1.1", func(t *testing.T) {
		t.Parallel()
		s := startStaller(t, "1s")
		if status, text := answer(t, s.ask(t, "plain", pauses), 20*time.Second); status != 200 || len(text) != 20 {
			t.Errorf("HTTP %d %q", status, text)
		}
	})
	t.Run("idle HTTP/2", func(t *testing.T) {
		t.Parallel()
		s := startStaller(t, "1s")
		_, f := s.ask2(t, "tls", pauses, 1<<20)
		all := 0
		for ended := false; !ended; {
			frame, err := f.ReadFrame()
			check(t, err)
			if d, ok := frame.(*http2.DataFrame); ok {
				all += len(d.Data())
				ended = d.StreamEnded()
			}
		}
		if all != 20 {
			t.Errorf("%d bytes", all)
		}
	})
}

// Over HTTP/2 a caller that opens the window of its stream now and then lives on.
func TestStreamsThatAreGivenALittleRoomLiveOn(t *testing.T) {
	t.Parallel()
	s := startStaller(t, "2s")
	_, f := s.ask2(t, "plain", large, 16<<10)
	for all, ended := 0, false; !ended; {
		frame, err := f.ReadFrame()
		check(t, err)
		switch frame := frame.(type) {
		case *http2.RSTStreamFrame:
			t.Fatalf("cut off after %d bytes", all)
		case *http2.DataFrame:
			all += len(frame.Data())
			switch {
			case all > 160<<10 || all%(16<<10) != 0:
			case all == 160<<10:
				check(t, f.WriteWindowUpdate(1, largeBytes))
			default:
				time.Sleep(300 * time.Millisecond)
				check(t, f.WriteWindowUpdate(1, 16<<10))
			}
			ended = frame.StreamEnded()
		}
	}
}
