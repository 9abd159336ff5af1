package gateway_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

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
	before := len(l.sandbox.Requests())
	answered := make(chan error, 1)
	go func() { answered <- post(l.client, l.Address("local").String()) }()
	eventually(t, "the request is in flight", func() bool { return len(l.sandbox.Requests()) > before })
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
