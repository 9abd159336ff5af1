package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The four corrections that httputil.ReverseProxy needs; each test fails without its own.

func TestStreamThatUpstreamEndsEarlyDoesNotHang(t *testing.T) {
	g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var first [1]byte
		_, _ = r.Body.Read(first[:])
		w.Header().Set("Trailer", "Grpc-Status")
		w.Header().Set("Content-Type", "application/grpc")
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Grpc-Status", "8") // ends while the caller still sends
	}), options{})
	body, send := io.Pipe()
	defer send.Close()
	r, err := http.NewRequest(http.MethodPost, g.url+"/"+unlisted+"Stream", body)
	check(t, err)
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	go func() { _, _ = send.Write([]byte{0, 0, 0, 0, 0}) }()
	res, err := client(t, 2).Do(r)
	check(t, err)
	defer res.Body.Close()
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, res.Body); ended <- err }()
	select {
	case <-ended:
	case <-time.After(3 * time.Second):
		t.Fatal("the answer has not ended although the upstream ended it")
	}
	if got := res.Trailer.Get("Grpc-Status"); got != "8" {
		t.Errorf("grpc-status %q, want 8", got)
	}
	g.records(t, 2) // the handler returned: the outcome is written
}

func TestTrailersOnlyAnswerStaysTrailersOnly(t *testing.T) {
	g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "5")
		w.Header()["Content-Length"] = nil // gRPC servers send none
	}), options{})
	// Flushed at once, the header leaves by a timer of its own that races with
	// the end of the answer: many calls at a time see it win.
	caller := client(t, 2)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 200 {
				res, err := caller.Post(g.url+"/"+unlisted+"Call", "application/grpc", strings.NewReader("\x00\x00\x00\x00\x00"))
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.Header.Get("Grpc-Status") != "5" || res.ContentLength != 0 {
					t.Errorf("header %v, content length %d: not trailers-only", res.Header, res.ContentLength)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestHTTP1CallerGetsAnswerBeforeItsBodyEnds(t *testing.T) {
	g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/connect+json")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		var message [8]byte
		_, _ = io.ReadFull(r.Body, message[:])
		_, _ = w.Write(message[:])
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	}), options{})
	c, err := net.Dial("tcp", g.address)
	check(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, err = io.WriteString(c, "POST /"+unlisted+"Stream HTTP/1.1\r\nHost: "+g.address+
		"\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n\x00\x00\x00\x00\x03abc\r\n")
	check(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer while the body is open: %v", err)
	}
	var echo [8]byte
	if _, err := io.ReadFull(res.Body, echo[:]); err != nil || string(echo[5:]) != "abc" {
		t.Errorf("echo %q, %v", echo, err)
	}
	_, err = io.WriteString(c, "0\r\n\r\n")
	check(t, err)
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("ending: %v", err)
	}
}

func TestAnnouncedTrailerIsNotSentAsHeaderToo(t *testing.T) {
	g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "0") // ZITADEL's v1 sends it here and in the trailer
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte{0, 0, 0, 0, 0})
		w.Header().Set("Grpc-Status", "0")
	}), options{})
	r, err := http.NewRequest(http.MethodPost, g.url+"/"+unlisted+"Call", strings.NewReader("\x00\x00\x00\x00\x00"))
	check(t, err)
	r.Header.Set("Content-Type", "application/grpc")
	res, err := client(t, 2).Do(r)
	check(t, err)
	defer res.Body.Close()
	if v := res.Header.Get("Grpc-Status"); v != "" {
		t.Errorf("grpc-status %q in the header", v)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	if v := res.Trailer["Grpc-Status"]; len(v) != 1 || v[0] != "0" {
		t.Errorf("trailer %v", res.Trailer)
	}
}
