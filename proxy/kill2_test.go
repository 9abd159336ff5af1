package proxy_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// killer2 is an upstream that speaks HTTP/2 frame by frame, and counts the
// requests that arrived.
type killer2 struct {
	socket net.Listener
	all    sync.WaitGroup
	how    kill2

	mu       sync.Mutex
	arrived  int // header blocks
	accepted int
}

// kill2 says what to do with every request but the first of a connection, or
// with that too.
type kill2 int

const (
	refuses    kill2 = iota // RST_STREAM with REFUSED_STREAM: not looked at
	protocol                // RST_STREAM with PROTOCOL_ERROR, at which net/http repeats
	internal                // RST_STREAM with INTERNAL_ERROR
	goesAway                // GOAWAY that leaves this stream out, and the connection ends
	hangsUp                 // the connection ends
	leavesFine              // answers, then GOAWAY after each answer
)

func newKiller2(t *testing.T, how kill2) *killer2 {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	k := &killer2{socket: socket, how: how}
	k.all.Go(func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			k.mu.Lock()
			k.accepted++
			k.mu.Unlock()
			k.all.Go(func() { defer c.Close(); k.serve(c) })
		}
	})
	t.Cleanup(func() { _ = socket.Close(); k.all.Wait() })
	return k
}

func (k *killer2) serve(c net.Conn) {
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	if f.WriteSettings() != nil {
		return
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = f.WritePing(true, frame.Data)
			}
		case *http2.HeadersFrame:
			k.mu.Lock()
			k.arrived++
			k.mu.Unlock()
		case *http2.DataFrame:
			if frame.StreamEnded() {
				if !k.end(f, frame.StreamID) {
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// end does with a whole request as it should and reports whether the connection lives on.
func (k *killer2) end(f *http2.Framer, id uint32) bool {
	switch k.how {
	case refuses:
		return f.WriteRSTStream(id, http2.ErrCodeRefusedStream) == nil
	case protocol:
		return f.WriteRSTStream(id, http2.ErrCodeProtocol) == nil
	case internal:
		return f.WriteRSTStream(id, http2.ErrCodeInternal) == nil
	case goesAway:
		_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
		return false
	case hangsUp:
		return false
	}
	var block bytes.Buffer
	h := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}} {
		_ = h.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	return f.WriteGoAway(id, http2.ErrCodeNo, nil) == nil
}

// The same over HTTP/2, where net/http repeats what was refused, left out by a
// GOAWAY, or broke the protocol, if it can have the body again or there is none.
func TestCallsOverHTTP2AreNeverSentAgain(t *testing.T) {
	for name, how := range map[string]kill2{
		"refused": refuses, "protocol error": protocol, "internal error": internal, "going away": goesAway, "hanging up": hangsUp,
	} {
		for _, body := range [][]byte{framed(0, []byte("\x0a\x01\x31")), nil} {
			for _, path := range []string{"/" + userLock, "/" + userRead} {
				k := newKiller2(t, how)
				g := newGatewayAt(t, "http://"+k.socket.Addr().String(), options{})
				res, err := client(t, 2).Post(g.url+path, "application/grpc", bytes.NewReader(body))
				check(t, err)
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if s := res.Header.Get("Grpc-Status"); s != "14" {
					t.Errorf("%s, %s with %d bytes: grpc-status %q", name, path, len(body), s)
				}
				k.mu.Lock()
				if k.arrived != 1 {
					t.Errorf("%s, %s with %d bytes: %d arrived", name, path, len(body), k.arrived)
				}
				k.mu.Unlock()
				records := outcomes(g.records(t, 1))
				if r := records[len(records)-1]; r.Reason != "upstream_broke" || r.Attempts != 1 {
					t.Errorf("%s: record %+v", name, r)
				}
			}
		}
	}
}

// An upstream that restarts says so (GOAWAY); calls go over a new connection.
func TestCallsOutliveAnUpstreamThatGoesAway(t *testing.T) {
	k := newKiller2(t, leavesFine)
	g := newGatewayAt(t, "http://"+k.socket.Addr().String(), options{})
	caller := client(t, 2)
	for range 20 {
		res, err := caller.Post(g.url+"/"+userLock, "application/grpc", bytes.NewReader(framed(0, []byte("\x0a\x01\x31"))))
		check(t, err)
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if s := res.Header.Get("Grpc-Status"); s != "0" && s != "14" {
			t.Errorf("grpc-status %q: %s", s, res.Header.Get("Grpc-Message"))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.arrived > 20 || k.accepted < 2 {
		t.Errorf("%d calls arrived over %d connections, 20 were sent", k.arrived, k.accepted)
	}
}
