package listener_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/listener"
)

// answering serves every connection of a taker with one letter.
func answering(l net.Listener, letter string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, letter)
		_ = c.Close()
	}
}

func ask(t *testing.T, address string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Who takes the connections changes again and again, and each is answered.
func TestNoConnectionIsLostWhenTheTakerChanges(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := listener.NewSocket(open)
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(func(err error) { t.Error(err) }); err != nil {
			t.Error(err)
		}
	})
	address := s.Addr().String()
	early := make(chan string, 1)
	go func() { early <- ask(t, address) }() // before there is anybody to take it
	var last *listener.Taker
	for i := range 50 {
		taker := s.NewTaker()
		letter := string(rune('a' + i%26))
		running.Go(func() { answering(taker, letter) })
		s.Give(taker)
		if last != nil {
			_ = last.Close()
		}
		last = taker
		if got := ask(t, address); got != letter {
			t.Fatalf("answered by %q, want %q", got, letter)
		}
	}
	if got := <-early; len(got) != 1 {
		t.Errorf("the early one got %q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	_ = last.Close()
	running.Wait()
	if c, err := net.Dial("tcp", address); err == nil {
		_ = c.Close()
		t.Error("a closed socket accepts")
	}
}

func TestASocketThatNeverRanCanBeClosed(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := listener.NewSocket(open)
	taker := s.NewTaker()
	_ = taker.Close()
	if _, err := taker.Accept(); err == nil {
		t.Error("a closed taker accepts")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBoundsChangeWhileConnectionsAreOpen(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	refused := make(chan net.Addr, 1)
	l := listener.Bound(open, listener.Bounds{Total: 5, PerAddress: 5}, func(a net.Addr) { refused <- a })
	first, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l.SetBounds(listener.Bounds{Total: 1, PerAddress: 1})
	done := make(chan struct{})
	go func() { defer close(done); _, _ = l.Accept() }()
	second, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	<-refused
	_ = open.Close()
	<-done
}
