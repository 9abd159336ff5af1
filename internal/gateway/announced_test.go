package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// announce begins gRPC requests whose bodies announce length bytes and begin
// with begins. All of them are being read when it returns, and none goes on.
func (l *learning) announce(t *testing.T, operation string, requests, length int, begins string) []net.Conn {
	t.Helper()
	var all []net.Conn
	for range requests {
		c, err := net.Dial("tcp", l.address)
		check(t, err)
		t.Cleanup(func() { _ = c.Close() })
		all = append(all, c)
		_, err = fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/grpc\r\nTE: trailers\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", operation, l.address, length)
		check(t, err)
	}
	for _, c := range all { // to go on is asked for by whoever begins to read the body
		check(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
		line, err := bufio.NewReader(c).ReadString('\n')
		check(t, err)
		if !strings.Contains(line, "100 Continue") {
			t.Fatalf("%s: %s", operation, line)
		}
		_, err = io.WriteString(c, begins)
		check(t, err)
	}
	return all
}

// Prefixes that announce large messages of an unlisted stream take nothing of
// the memory that there is for others: a caller's part would hold 31 of them.
func TestAnnouncedMessagesTakeNoMemory(t *testing.T) {
	l := startHostile(t, true, time.Now().Add(time.Hour), func(*learning) {})
	l.eventually(t, revoke, `{"id":"1"}`, "") // nothing is left to learn
	l.FailAPI(0, 0, time.Hour)                // otherwise the stream would be answered before its message is there
	before := l.Count()
	l.announce(t, "zitadel.user.v2.UserService/Future", 60, 1<<20+5, "\x00\x00\x10\x00\x00")
	for range 3000 {
		if l.Count() >= before+60 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.FailAPI(0, 0, 0)
	body := `{"userId":"` + l.Users()["bob@acme.example"] + `"}`
	if status, text := l.post(t, lock, body+strings.Repeat(" ", 2<<20)); status != http.StatusOK {
		t.Errorf("beside 60 prefixes: HTTP %d %s", status, text)
	}
}

// Go's HTTP/2 transport holds half a MiB for each body that is not known to be
// small; it must not begin before there is one.
func TestAnnouncedBodiesTakeNoMemory(t *testing.T) {
	l := startHostile(t, true, time.Now().Add(time.Hour), func(*learning) {})
	l.eventually(t, revoke, `{"id":"1"}`, "")
	l.FailAPI(0, 0, time.Hour)
	held := func(length int) int64 {
		before := liveBytes()
		all := l.announce(t, "zitadel.settings.v2.SettingsService/GetGeneralSettings", 40, length, "\x00")
		defer func() {
			for _, c := range all {
				check(t, c.Close())
			}
		}()
		return liveBytes() - before
	}
	little := held(6)
	if much := held(4_000_005); much-max(0, little) > 8<<20 {
		t.Errorf("40 bodies that announce 4 MB hold %d KiB, those that announce a byte %d KiB", much>>10, little>>10)
	}
}

// live is what the heap holds that is still in use.
func liveBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
