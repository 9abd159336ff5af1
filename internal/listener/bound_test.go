package listener_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/listener"
)

// kept accepts connections and keeps them open.
func kept(t *testing.T, s listener.Spec, b listener.Bounds) (address string, accepted chan net.Conn, refused chan net.Addr) {
	t.Helper()
	socket, err := listener.Open(s)
	check(t, err)
	accepted, refused = make(chan net.Conn, 16), make(chan net.Addr, 16)
	l := listener.Bound(socket, b, func(a net.Addr) { refused <- a })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	t.Cleanup(func() { check(t, l.Close()); <-ended })
	return socket.Addr().String(), accepted, refused
}

func TestConnectionsBeyondTheBoundsAreClosedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		network string
		bounds  listener.Bounds
	}{
		"in all":           {"tcp", listener.Bounds{Total: 2, PerAddress: 10}},
		"from one address": {"tcp", listener.Bounds{Total: 10, PerAddress: 2}},
		"on a unix socket": {"unix", listener.Bounds{Total: 2, PerAddress: 10}},
		"from one user":    {"unix", listener.Bounds{Total: 10, PerAddress: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			address := "127.0.0.1:0"
			if c.network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			address, accepted, refused := kept(t, listener.Spec{Name: "a", Network: c.network, Address: address}, c.bounds)
			dial := func() net.Conn {
				conn, err := net.Dial(c.network, address)
				check(t, err)
				t.Cleanup(func() { _ = conn.Close() })
				return conn
			}
			dial()
			dial()
			first := <-accepted
			<-accepted
			third := dial()
			<-refused
			check(t, third.SetReadDeadline(time.Now().Add(5*time.Second)))
			if _, err := third.Read(make([]byte, 1)); err == nil {
				t.Error("the third connection was not closed")
			}
			check(t, first.Close())
			_ = first.Close() // a second close leaves no second place
			dial()
			<-accepted
			dial()
			<-refused
		})
	}
}
