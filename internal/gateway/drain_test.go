package gateway_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/zproxy/zproxy/internal/gateway"
)

// Load balancers get their answers while they are told to look elsewhere.
func TestNotReadyComesBeforeTheEnd(t *testing.T) {
	var l *live
	asked := false
	l = goLiveWith(t, gateway.Options{Draining: func() {
		asked = true
		if code, detail := l.readyz(t); code != http.StatusServiceUnavailable || detail.Ready || !detail.Draining {
			t.Errorf("readiness is %d, %+v", code, detail)
		}
		if status := l.status(t, "local", listUsers); status != 200 {
			t.Errorf("a call meanwhile: %d", status)
		}
	}}, nil, liveListeners, liveRules, liveRest, "limits: {drain_delay: 300ms}\n")
	began := time.Now()
	check(t, l.end())
	if !asked || time.Since(began) < 300*time.Millisecond {
		t.Errorf("asked: %t; it took %v", asked, time.Since(began))
	}
	if err := l.Reload(); err == nil {
		t.Error("a gateway that has ended reloads")
	}
}

func TestRequestsInFlightEndWell(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	l.sandbox.FailAPI(0, 1, 500*time.Millisecond)
	before := l.sandbox.Count()
	answered := make(chan error, 1)
	go func() { answered <- post(l.client, l.Address("local").String()) }()
	eventually(t, "the request is in flight", func() bool { return l.sandbox.Count() > before })
	check(t, l.end())
	check(t, <-answered)
}

// HTTP/2 callers are told by GOAWAY, and lose nothing.
func TestHTTP2ConnectionsEndByGOAWAY(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	conn, err := net.Dial("tcp", l.Address("local").String())
	check(t, err)
	defer conn.Close()
	check(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, http2.ClientPreface)
	check(t, err)
	framer := http2.NewFramer(conn, conn)
	check(t, framer.WriteSettings())
	_, err = framer.ReadFrame() // its settings: the connection is up
	check(t, err)
	ended := make(chan error, 1)
	go func() { ended <- l.end() }()
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no GOAWAY before %v", err)
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			if f.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY says %v", f.ErrCode)
			}
			break
		}
	}
	check(t, <-ended)
}

// What the file says about the end counts, as of the last reload.
func TestTheLastConfigurationSaysHowToEnd(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	l.configure(t, liveListeners, liveRules, liveRest, "limits: {drain_delay: 200ms}\n")
	check(t, l.Reload())
	began := time.Now()
	check(t, l.end())
	if time.Since(began) < 200*time.Millisecond || !strings.Contains(l.log.String(), "not ready any more") {
		t.Errorf("it ended after %v", time.Since(began))
	}
}

// Connections on which nothing, or half of something, has come are no requests
// in flight: the end neither waits for limits.drain nor complains of them.
func TestWhatIsHalfSentDoesNotHoldUpTheEnd(t *testing.T) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/v2/users"}, {"content-type", "application/json"}} {
		check(t, encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	begun := func(write func(*http2.Framer) error) string {
		text := bytes.NewBufferString(http2.ClientPreface)
		f := http2.NewFramer(text, nil)
		check(t, errors.Join(f.WriteSettings(), write(f)))
		return text.String()
	}
	headers := begun(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	})
	for name, sent := range map[string]string{
		"half a request line": "POST /v2/us",
		"half a preface":      http2.ClientPreface[:10],
		"half a frame":        headers[:len(headers)-7],
		"a frame's prefix":    headers[:len(headers)-block.Len()-4],
		"no CONTINUATION": begun(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()[:9]})
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := goLive(t, liveListeners, liveRules, liveRest, "limits: {drain: 60s}\n")
			conn, err := net.Dial("tcp", l.Address("local").String())
			check(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, sent)
			check(t, err)
			check(t, post(l.client, l.Address("local").String())) // what came before it was read
			began := time.Now()
			check(t, l.end())
			if d := time.Since(began); d > 30*time.Second {
				t.Errorf("it ended after %v", d)
			}
		})
	}
}
