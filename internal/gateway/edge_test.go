package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

// startEdge is a gateway with one rule that reads bodies and one that does not.
func startEdge(t *testing.T, limits string) (address string, s *sandbox.Sandbox) {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pat"), s.AddPAT(s.AddMachineUser("pat", "IAM_OWNER")))
	cfg, err := config.Parse("edge.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", dir, "$LIMITS", limits).Replace(`version: 1
upstream: {issuer: "$ISSUER"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "1000000000000001"}}]
rules:
  - {name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/GetUserByID, zitadel.user.v2.UserService/LockUser], as: pat}
audit: {file: "$DIR/audit.jsonl"}
limits: {$LIMITS}
`)))
	check(t, err)
	address, _ = serve(t, cfg, gateway.Options{})
	return address, s
}

// lawful calls and returns how long the slowest of nine in ten took.
func lawful(t *testing.T, address, user string, calls int) time.Duration {
	t.Helper()
	var all []time.Duration
	for range calls {
		begin := time.Now()
		res, err := http.Get("http://" + address + "/v2/users/" + user)
		check(t, err)
		_, _ = io.Copy(io.Discard, res.Body)
		check(t, res.Body.Close())
		if res.StatusCode != http.StatusOK {
			t.Fatalf("a lawful call is answered %d", res.StatusCode)
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all[len(all)*9/10]
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// 400 connections with slow headers, slow bodies that are announced large, and
// readers that do not take their large answers, half of them over HTTP/2: lawful
// calls go on, all that is held for the others stays under 64 MiB, and who stalls
// is cut off.
func TestSlowCallersDisturbNobody(t *testing.T) {
	const slow = 400
	s := startStallerWith(t, "max_in_flight: 1000, timeouts: {connect: 30s}", "connections_per_address: 1000, stall: 2s")
	address := s.Address("plain").String()
	quiet := lawful(t, address, "4", 30)
	before := heap()
	begun, stalls := s.begun.Load(), 0
	for i := range slow {
		switch i % 4 {
		case 0:
			_, err := io.WriteString(s.dial(t, "plain", ""), "GET /v2/users/1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
			check(t, err)
		case 1:
			_, err := fmt.Fprintf(s.dial(t, "plain", ""), "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n{%s", searches, strings.Repeat(" ", 100))
			check(t, err)
			stalls++
		case 2:
			s.ask(t, "plain", pours)
			stalls++
		case 3:
			s.ask2(t, "plain", pours, 65535)
			stalls++
		}
	}
	// A machine that is busy may be slower than the limit: most is enough.
	eventually(t, "answers that nobody takes, and bodies that do not end", func() bool { return s.begun.Load()-begun >= int64(stalls)/2 })
	if held := heap() - before; held > 64<<20 {
		t.Errorf("%d slow connections hold %d MiB", slow, held>>20)
	} else {
		t.Logf("%d slow connections hold %d MiB", slow, held>>20)
	}
	if busy := lawful(t, address, "4", 30); busy > 10*quiet+2*time.Second {
		t.Errorf("nine in ten lawful calls take %v, %v without the others", busy, quiet)
	} else {
		t.Logf("nine in ten lawful calls take %v, %v without the others", busy, quiet)
	}
	eventually(t, "the end of those who stall", func() bool { return s.under.Load() == 0 })
	lawful(t, address, "4", 10)
	stalled := 0
	for _, r := range records(t, filepath.Join(s.dir, "audit.jsonl")) {
		if r.Reason == "caller_stalled" {
			stalled++
		}
	}
	if stalled < stalls/2 {
		t.Errorf("%d of %d are cut off because they stall", stalled, stalls)
	}
}

// Bodies that are read whole share a bounded memory.
func TestBodiesThatAreReadHoldABoundedMemory(t *testing.T) {
	address, s := startEdge(t, "inspect_body_bytes: 1MiB, inspect_total_bytes: 4MiB")
	var conns []net.Conn
	for range 8 {
		c, err := net.Dial("tcp", address)
		check(t, err)
		defer c.Close()
		_, err = fmt.Fprintf(c, "POST /zitadel.user.v2.UserService/LockUser HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n", address)
		check(t, err)
		go func() { _, _ = c.Write(bytes.Repeat([]byte(" "), 999_000)) }() // and then no more
		conns = append(conns, c)
	}
	refused := make(chan int, len(conns))
	for _, c := range conns {
		go func() {
			_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				refused <- 0
				return
			}
			_ = res.Body.Close()
			refused <- res.StatusCode
		}()
	}
	answers := map[int]int{}
	for range conns {
		answers[<-refused]++
	}
	if answers[http.StatusServiceUnavailable] == 0 || answers[0] == 0 || answers[0]+answers[http.StatusServiceUnavailable] != 8 {
		t.Errorf("answers %v, want some 503 and some still waiting", answers)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	bob := s.Users()["bob@acme.example"]
	for range 2000 { // what they held is given back
		res, err := http.Post("http://"+address+"/zitadel.user.v2.UserService/LockUser", "application/json",
			strings.NewReader(strings.Repeat(" ", 900_000)+`{"userId":"`+bob+`"}`))
		check(t, err)
		check(t, res.Body.Close())
		if res.StatusCode == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the memory was not given back")
}

// frames speaks HTTP/2 by hand.
func frames(t *testing.T, address string) (net.Conn, *http2.Framer) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, http2.ClientPreface)
	check(t, err)
	f := http2.NewFramer(c, c)
	check(t, f.WriteSettings())
	go func() { _, _ = io.Copy(io.Discard, c) }()
	return c, f
}

// block is the header of a GET.
func block(t *testing.T, path string) []byte {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: path}} {
		check(t, encoder.WriteField(f))
	}
	return block.Bytes()
}

// Streams that are reset at once (CVE-2023-44487), headers without end
// (CVE-2023-45288) and settings without end cost bounded work.
func TestHTTP2FloodsDisturbNobody(t *testing.T) {
	address, s := startEdge(t, "")
	bob := s.Users()["bob@acme.example"]
	header := block(t, "/v2/users/"+bob)
	before := heap()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	floods := []func(*http2.Framer, uint32) error{
		func(f *http2.Framer, id uint32) error {
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header, EndHeaders: true, EndStream: true}); err != nil {
				return err
			}
			return f.WriteRSTStream(id, http2.ErrCodeCancel)
		},
		func(f *http2.Framer, id uint32) error {
			if id == 1 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header})
			}
			return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x40, 1, 'a', 1, 'b'}, 1000))
		},
		func(f *http2.Framer, _ uint32) error { return f.WriteSettings() },
		func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{}) },
	}
	ended := make(chan struct{})
	for _, flood := range floods {
		go func() {
			defer func() { ended <- struct{}{} }()
			for ctx.Err() == nil {
				c, f := frames(t, address)
				for id := uint32(1); ctx.Err() == nil && id < 1<<20; id += 2 {
					if flood(f, id) != nil {
						break
					}
				}
				_ = c.Close()
			}
		}()
	}
	busy := lawful(t, address, bob, 20)
	for range floods {
		<-ended
	}
	if held := heap() - before; held > 64<<20 {
		t.Errorf("floods hold %d MiB", held>>20)
	}
	if busy > 2*time.Second {
		t.Errorf("nine in ten lawful calls take %v beside the floods", busy)
	}
	lawful(t, address, bob, 20)
}
