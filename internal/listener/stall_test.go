package listener_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/listener"
)

// stalling is both ends of a connection that may stall for as long as that.
func stalling(t *testing.T, network string, stall time.Duration) (server net.Conn, caller net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	socket, err := net.Listen(network, address)
	check(t, err)
	l := listener.Bound(socket, listener.Bounds{Total: 1, PerAddress: 1, Stall: stall}, nil)
	t.Cleanup(func() { _ = l.Close() })
	caller, err = net.Dial(network, socket.Addr().String())
	check(t, err)
	t.Cleanup(func() { _ = caller.Close() })
	server, err = l.Accept()
	check(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return server, caller
}

// more is what no buffer of a socket holds.
var more = bytes.Repeat([]byte("more"), 4<<20)

func TestWritesFailOnceNothingIsTaken(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			server, caller := stalling(t, network, 200*time.Millisecond)
			n, err := server.Write(more)
			if n == 0 || n == len(more) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%d bytes, %v", n, err)
			}
			go func() { _, _ = io.Copy(io.Discard, caller) }()
			check(t, server.SetWriteDeadline(time.Now().Add(time.Minute)))
			if n, err := server.Write(more[:1]); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a later write: %d bytes, %v", n, err)
			}
		})
	}
}

// One write may take much longer than the limit, as long as bytes of it are
// taken: of a unix socket the kernel tells that there is room only once three
// quarters of what it holds are gone.
func TestAWriteOfWhichBytesAreTakenGoesOn(t *testing.T) {
	const piece = 16 << 10
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			server, caller := stalling(t, network, 2*time.Second)
			read := make(chan error, 1)
			go func() {
				for range 60 {
					if _, err := io.ReadFull(caller, make([]byte, piece)); err != nil {
						read <- err
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
				_, err := io.CopyN(io.Discard, caller, int64(len(more)-60*piece))
				read <- err
			}()
			if n, err := server.Write(more); n != len(more) || err != nil {
				_ = server.Close()
				t.Errorf("%d bytes, %v; read: %v", n, err, <-read)
				return
			}
			check(t, <-read)
		})
	}
}

func TestTheDeadlineOfWhoWritesCounts(t *testing.T) {
	t.Parallel()
	server, caller := stalling(t, "tcp", time.Hour)
	ended := make(chan error, 1)
	go func() { _, err := server.Write(more); ended <- err }()
	_, err := io.ReadFull(caller, make([]byte, 1)) // it is under way
	check(t, err)
	check(t, server.SetDeadline(time.Now()))
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	check(t, server.SetDeadline(time.Time{}))
	go func() { _, _ = io.Copy(io.Discard, caller) }()
	if _, err := server.Write(more); err != nil {
		t.Errorf("after the deadline was lifted: %v", err)
	}
}

// What an idle connection was armed with long ago ends no later write.
func TestAConnectionThatWasIdleIsWrittenTo(t *testing.T) {
	t.Parallel()
	server, caller := stalling(t, "tcp", 80*time.Millisecond)
	for range 3 {
		_, err := server.Write([]byte("x"))
		check(t, err)
		_, err = io.ReadFull(caller, make([]byte, 1))
		check(t, err)
		time.Sleep(200 * time.Millisecond)
	}
}
