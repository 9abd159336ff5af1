package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// killer is an upstream that speaks HTTP/1.1 by hand, so that it can end
// connections at any point, and counts what arrived.
type killer struct {
	socket net.Listener
	all    sync.WaitGroup

	mu       sync.Mutex
	arrived  []string // request lines, and whatever came of a request whose line did not
	script   []kill   // for one request after the other; the last one goes on
	accepted int
	open     map[net.Conn]bool
}

// kill says what to do with a request.
type kill int

const (
	answers     kill = iota // as it should be
	beforeRead              // ends the connection when its first byte arrives
	afterHeader             // after the header
	afterBody               // after the whole request
	midHeader               // in the midst of the answer's header
	midBody                 // in the midst of the answer's body
	resets                  // after the whole request, by a reset
	closesIdle              // answers, and ends the connection once it is idle
	resetsIdle              // the same by a reset
)

func newKiller(t *testing.T, script ...kill) *killer {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	k := &killer{socket: socket, script: script, open: make(map[net.Conn]bool)}
	k.all.Go(func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			k.mu.Lock()
			k.accepted++
			k.open[c] = true
			k.mu.Unlock()
			k.all.Go(func() { k.serve(c) })
		}
	})
	t.Cleanup(k.stop)
	return k
}

func (k *killer) stop() {
	_ = k.socket.Close()
	k.mu.Lock()
	for c := range k.open {
		_ = c.Close()
	}
	k.mu.Unlock()
	k.all.Wait()
}

func (k *killer) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		k.mu.Lock()
		delete(k.open, c)
		k.mu.Unlock()
	}()
	r := bufio.NewReader(c)
	for k.one(c, r) {
	}
}

// one serves one request and reports whether the connection lives on.
func (k *killer) one(c net.Conn, r *bufio.Reader) bool {
	if _, err := r.Peek(1); err != nil {
		return false
	}
	k.mu.Lock()
	todo := k.script[0]
	if len(k.script) > 1 {
		k.script = k.script[1:]
	}
	at := len(k.arrived)
	k.arrived = append(k.arrived, "bytes")
	k.mu.Unlock()
	if todo == beforeRead {
		return false
	}
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	k.mu.Lock()
	k.arrived[at] = req.Method + " " + req.URL.Path
	k.mu.Unlock()
	if todo == afterHeader {
		return false
	}
	_, _ = io.Copy(io.Discard, req.Body)
	answer := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	switch todo {
	case afterBody:
		return false
	case resets, resetsIdle:
		_ = c.(*net.TCPConn).SetLinger(0)
		if todo == resets {
			return false
		}
	case midHeader:
		answer = answer[:30]
	case midBody:
		answer = answer[:len(answer)-1]
	}
	_, err = io.WriteString(c, answer)
	return err == nil && todo == answers
}

// count is how many requests arrived, whole or not.
func (k *killer) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.arrived)
}

func (k *killer) connections() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.accepted
}

// Wherever the upstream ends the connection of a request: once a byte of it has
// arrived it is not sent again, be it a write or a read, on a new connection or
// on one that was in use before.
func TestWhatHasBeenSentIsNeverSentAgain(t *testing.T) {
	for name, point := range map[string]kill{
		"before it is read": beforeRead, "after the header": afterHeader, "after the body": afterBody,
		"in the answer's header": midHeader, "in the answer's body": midBody, "by a reset": resets,
	} {
		for _, reused := range []bool{false, true} {
			for _, c := range []struct{ method, path, body string }{
				{http.MethodPost, "/v2/users/1/lock", "{}"}, // a write
				{http.MethodGet, "/v2/users/1", ""},         // a read, which net/http would repeat
				{http.MethodPost, "/v2/users", "{}"},        // a read with a body
				{http.MethodPost, "/v2/users/1/deactivate", ""},
			} {
				k := newKiller(t, point)
				sent := 1
				if reused {
					k = newKiller(t, answers, point)
					sent = 2
				}
				g := newGatewayAt(t, "http://"+k.socket.Addr().String(), options{})
				caller := client(t, 1)
				caller.Transport.(*http.Transport).DisableKeepAlives = true // or it repeats by itself what zproxy breaks off
				var status int
				for range sent {
					r, err := http.NewRequest(c.method, g.url+c.path, strings.NewReader(c.body))
					check(t, err)
					r.Header.Set("Content-Type", "application/json")
					res, err := caller.Do(r)
					if err == nil {
						_, _ = io.Copy(io.Discard, res.Body)
						res.Body.Close()
						status = res.StatusCode
					}
				}
				records := outcomes(g.records(t, sent))
				last := records[len(records)-1]
				if n := k.count(); n != sent {
					t.Errorf("%s, reused %v, %s %s: %d requests arrived, %d were sent", name, reused, c.method, c.path, n, sent)
				}
				if point != midBody && (status != http.StatusBadGateway || last.Reason != "upstream_broke" || last.Attempts != 1) {
					t.Errorf("%s, reused %v, %s %s: status %d, record %+v", name, reused, c.method, c.path, status, last)
				}
				if reused && k.connections() != 1 {
					t.Errorf("%s: %d connections", name, k.connections())
				}
			}
		}
	}
}

// A connection that the upstream has closed while nobody used it costs no
// request, whatever its method: nothing of it was sent.
func TestRequestsOutliveConnectionsThatUpstreamClosesIdle(t *testing.T) {
	for name, how := range map[string]kill{"closed": closesIdle, "reset": resetsIdle} {
		k := newKiller(t, how)
		g := newGatewayAt(t, "http://"+k.socket.Addr().String(), options{})
		caller := client(t, 1)
		const n = 50
		for i := range n {
			res, err := caller.Post(g.url+"/v2/users/1/lock", "application/json", strings.NewReader("{}"))
			check(t, err)
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				// A byte may have left before the end of the connection was known:
				// then nobody may repeat it.
				if r := outcomes(g.records(t, 2*i+1)); r[len(r)-1].Reason != "upstream_broke" {
					t.Errorf("%s: status %d, record %+v", name, res.StatusCode, r[len(r)-1])
				}
			}
			if i%2 == 0 { // the end of the connection is known, as a rule
				time.Sleep(2 * time.Millisecond)
			}
		}
		if arrived := k.count(); arrived > n {
			t.Errorf("%s: %d requests arrived, %d were sent", name, arrived, n)
		}
		if k.connections() < n/2 {
			t.Errorf("%s: %d connections", name, k.connections())
		}
	}
}

// An upstream that takes connections and ends them before a byte was sent is
// tried once more, not for ever.
func TestConnectionsThatEndAtOnceAreTriedTwice(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var mu sync.Mutex
	accepted := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			accepted++
			mu.Unlock()
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = socket.Close(); <-done })
	g := newGatewayAt(t, "http://"+socket.Addr().String(), options{})
	for range 10 {
		res, err := client(t, 1).Post(g.url+"/v2/users/1/lock", "application/json", strings.NewReader("{}"))
		check(t, err)
		res.Body.Close()
		if res.StatusCode != http.StatusBadGateway {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if accepted > 20 {
		t.Errorf("%d connections for 10 requests", accepted)
	}
}

// A large body streams, and is not sent again once it was read.
func TestAStreamedBodyIsNotSentTwice(t *testing.T) {
	k := newKiller(t, answers, afterHeader)
	g := newGatewayAt(t, "http://"+k.socket.Addr().String(), options{})
	caller := client(t, 1)
	large := bytes.Repeat([]byte("a"), 200<<10)
	for i, want := range []int{http.StatusOK, http.StatusBadGateway} {
		res, err := caller.Post(g.url+"/"+unlisted+"Stream", "application/connect+json", bytes.NewReader(framed(0, large)))
		check(t, err)
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != want && want == http.StatusOK {
			t.Errorf("request %d: status %d, want %d", i, res.StatusCode, want)
		}
	}
	if n := k.count(); n != 2 {
		t.Errorf("%d requests arrived, 2 were sent", n)
	}
}
