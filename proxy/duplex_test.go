package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy"
)

// An answer that comes before the body has ended ends the connection, and says
// so: net/http would read the rest and the next request at once, and panic.
func TestAnAnswerBeforeTheEndOfABodyEndsTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		upstream http.HandlerFunc
		limit    int64
		status   int
	}{
		"Answered": {func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
		}, 1 << 20, http.StatusBadRequest},
		"TooLarge": {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, 100 << 10, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, c.upstream, options{config: func(p *proxy.Config) { p.BodyBytes = c.limit }})
			conn, err := net.Dial("tcp", g.address)
			check(t, err)
			defer conn.Close()
			check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			part := fmt.Sprintf("%x\r\n%s\r\n", 80<<10, framed(0, make([]byte, 80<<10-5)))
			_, err = io.WriteString(conn, "POST /"+unlisted+"Stream HTTP/1.1\r\nHost: "+g.address+"\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n"+part)
			check(t, err)
			if name == "TooLarge" {
				_, err = io.WriteString(conn, part)
				check(t, err)
			}
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			check(t, err)
			if res.StatusCode != c.status || !res.Close {
				t.Errorf("answered with %d, and the connection ends: %t; want %d and its end", res.StatusCode, res.Close, c.status)
			}
			_, _ = io.WriteString(conn, "0\r\n\r\nGET /v2/users/2 HTTP/1.1\r\nHost: "+g.address+"\r\n\r\n") // it may be closed already
			rest, _ := io.ReadAll(io.MultiReader(res.Body, r))
			if strings.Contains(string(rest), "HTTP/1.1") {
				t.Errorf("what followed was answered: %s", rest)
			}
			g.records(t, 1)
		})
	}
}

// A caller that stops sending gets its answer when the time is over that it gives the call.
func TestACallerThatSendsNoMoreIsToldOfItsDeadline(t *testing.T) {
	g := newGateway(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }), options{})
	conn, err := net.Dial("tcp", g.address)
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(conn, "POST /%sStream HTTP/1.1\r\nHost: %s\r\nContent-Type: application/connect+json\r\nConnect-Timeout-Ms: 300\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n%s\r\n", unlisted, g.address, framed(0, []byte("{}")))
	check(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	check(t, err)
	body, err := io.ReadAll(res.Body)
	check(t, err)
	if !strings.Contains(string(body), "deadline_exceeded") {
		t.Errorf("told %q", body)
	}
	if r := g.records(t, 2)[1]; r.Reason != "deadline_exceeded" { // behind the intent record
		t.Errorf("recorded %s", r.Reason)
	}
}
