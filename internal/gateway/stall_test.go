package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

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
