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

	"github.com/zproxy/zproxy/policy"
)

const settings = "zitadel.settings.v2.SettingsService/GetGeneralSettings"

// silent are callers that stop sending in the middle of a body, on each way
// that a body streams upstream.
var silent = map[string]struct {
	major             int
	path, contentType string
	part              []byte // more than is read before it is forwarded, where anything is
}{
	"HTTP1OverHTTP1":  {1, unlisted + "Stream", "application/connect+json", framed(0, []byte("{}"))},
	"LargeOverHTTP1":  {1, settings, "application/json", []byte(`{"a":"` + strings.Repeat("a", 80<<10))},
	"HTTP2OverHTTP1":  {2, settings, "application/json", []byte(`{"a":"` + strings.Repeat("a", 80<<10))},
	"HTTP2OverHTTP2":  {2, unlisted + "Stream", "application/grpc", framed(0, []byte("\x0a\x01\x31"))},
	"GRPCOverHTTP2":   {2, settings, "application/grpc", make([]byte, 80<<10)},
	"MessageIsBegun":  {2, unlisted + "Stream", "application/grpc", append(framed(0, nil), 0, 0, 0, 0, 9, 1)},
	"MessageIsBegun1": {1, unlisted + "Stream", "application/connect+json", append(framed(0, []byte("{}")), 0, 0, 0, 0, 9, '{')},
}

// callSilently begins a call of each kind, and returns what its caller is told
// while it is silent.
func callSilently(t *testing.T, upstream http.HandlerFunc, header http.Header, is func(t *testing.T, reason, text string)) {
	for name, c := range silent {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, upstream, options{rules: []policy.Rule{{
				Name: "tested", Callers: []string{"anonymous:test"}, As: "reader", Operations: []string{settings, unlisted + "Stream"},
			}}})
			res := sendPart(t, g, c.major, c.path, c.contentType, header, c.part)
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			check(t, err)
			within(t, func() bool { return len(outcomes(g.records(t, 1))) == 1 })
			is(t, outcomes(g.records(t, 1))[0].Reason, string(text)+res.Header.Get("Grpc-Message"))
		})
	}
}

// sendPart sends a part of a body, and waits for the answer. net/http's HTTP/1
// client would wait for the rest of the body first.
func sendPart(t *testing.T, g *gateway, major int, path, contentType string, header http.Header, part []byte) *http.Response {
	t.Helper()
	body, more := io.Pipe()
	t.Cleanup(func() { _ = more.Close() })
	r, err := http.NewRequest(http.MethodPost, g.url+"/"+path, body)
	check(t, err)
	r.Header = header.Clone()
	r.Header.Set("Content-Type", contentType)
	go func() { _, _ = more.Write(part) }()
	if major == 2 {
		res, err := client(t, 2).Do(r)
		check(t, err)
		return res
	}
	conn, err := net.Dial("tcp", g.address)
	check(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	check(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	go func() { _ = r.Write(conn) }()
	res, err := http.ReadResponse(bufio.NewReader(conn), r)
	check(t, err)
	return res
}

// An upstream that breaks is told of at once, although net/http waits for whoever
// reads the body.
func TestASilentCallerIsToldThatTheUpstreamBroke(t *testing.T) {
	callSilently(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close() // a handler that panics waits for the rest over HTTP/1
		}
		panic(http.ErrAbortHandler)
	}, http.Header{}, func(t *testing.T, reason, text string) {
		if reason != "upstream_broke" || !strings.Contains(text, "upstream_broke") {
			t.Errorf("recorded %s, told %q", reason, text)
		}
	})
}

func TestASilentCallerIsToldOfItsDeadline(t *testing.T) {
	callSilently(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}, http.Header{"Connect-Timeout-Ms": {"500"}}, func(t *testing.T, reason, text string) {
		if reason != "deadline_exceeded" || !strings.Contains(text, "deadline_exceeded") {
			t.Errorf("recorded %s, told %q", reason, text)
		}
	})
}

// A connection that is about to end is not waited for: who got an answer before
// the end of a body, and sends no more, holds nothing.
func TestTheRestOfABodyIsWaitedForOnlyBriefly(t *testing.T) {
	part := framed(0, []byte("{}"))
	for name, rest := range map[string]string{
		"Chunked":    fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(part), part),
		"WithLength": fmt.Sprintf("Content-Length: 1000\r\n\r\n%s", part),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.Header().Set("Connection", "close")
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
			}), options{})
			conn, err := net.Dial("tcp", g.address)
			check(t, err)
			defer conn.Close()
			check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			_, err = io.WriteString(conn, "POST /"+unlisted+"Stream HTTP/1.1\r\nHost: "+g.address+"\r\nContent-Type: application/connect+json\r\n"+rest)
			check(t, err)
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			check(t, err)
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d", res.StatusCode)
			}
			if _, err := io.ReadAll(io.MultiReader(res.Body, r)); err != nil {
				t.Errorf("the connection has not ended: %v", err)
			}
			g.records(t, 2)
		})
	}
}
