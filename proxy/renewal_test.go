package proxy_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/zproxy/zproxy/proxy"
)

// Connections end with their age, so that each new one resolves the name anew:
// by HTTP/1.1 and by HTTP/2, under load that leaves none of them idle for long.
func TestConnectionsEndWithTheirAge(t *testing.T) {
	for _, major := range []int{1, 2} {
		var connections atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			w.Header().Set("Grpc-Status", "0")
		}))
		s.Config.Protocols = cleartext()
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		s.Start()
		t.Cleanup(s.Close)
		g := newGatewayAt(t, s.URL, upstreamAt(t, s.URL, func(c *proxy.UpstreamConfig) { c.Timeouts.ConnectionAge = 100 * time.Millisecond }))
		caller := client(t, major)
		path, contentType, body := "/v2/users", "application/json", []byte("{}")
		if major == 2 {
			path, contentType, body = "/"+userList, "application/grpc", framed(0, nil)
		}
		within(t, func() bool {
			res, err := caller.Post(g.url+path, contentType, bytes.NewReader(body))
			check(t, err)
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("status %d", res.StatusCode)
			}
			return connections.Load() >= 4
		})
	}
}

// One name, two addresses, one after the other: the second is found although
// connections to the first still work.
func TestUpstreamIsFollowedToAnotherAddress(t *testing.T) {
	serve := func(address, name string) (string, *atomic.Int64) {
		socket, err := net.Listen("tcp", address)
		check(t, err)
		served := new(atomic.Int64)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			served.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Request-Id", name)
		})}
		go func() { _ = s.Serve(socket) }()
		t.Cleanup(func() { _ = s.Close() })
		return socket.Addr().String(), served
	}
	old, _ := serve("127.0.0.1:0", "old")
	_, port, err := net.SplitHostPort(old)
	check(t, err)
	moved, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skip("this machine has no second loopback address")
	}
	_ = moved.Close()
	_, served := serve("127.0.0.2:"+port, "new")
	var last atomic.Uint32 // byte of the address that the name has
	last.Store(1)
	names := nameServer(t, func() [4]byte { return [4]byte{127, 0, 0, byte(last.Load())} })
	at := "http://zitadel.internal:" + port
	g := newGatewayAt(t, at, upstreamAt(t, at, func(c *proxy.UpstreamConfig) {
		c.Timeouts.ConnectionAge = 100 * time.Millisecond
		c.Resolver = names
	}))
	caller := client(t, 1)
	call := func() string {
		res, err := caller.Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		return res.Header.Get("X-Request-Id")
	}
	if name := call(); name != "old" {
		t.Fatalf("%q answered", name)
	}
	last.Store(2)
	within(t, func() bool { return call() == "new" })
	if served.Load() == 0 {
		t.Error("nothing arrived")
	}
}

// nameServer resolves every name to the IPv4 address that is told, by DNS.
func nameServer(t *testing.T, address func() [4]byte) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		packet := make([]byte, 512)
		for {
			n, from, err := socket.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: address()},
				}}
			}
			if answer, err := m.Pack(); err == nil {
				_, _ = socket.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() { _ = socket.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}
