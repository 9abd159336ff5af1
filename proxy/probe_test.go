package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy"
)

// A caller whose body does not come holds its probe as long as it likes, and
// nobody else from finding out that ZITADEL is back.
func TestCallersThatHoldTheirBodiesBackKeepNobodyFromProbing(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := socket.Addr().String()
	check(t, socket.Close())
	var later atomic.Int64
	var opened atomic.Bool
	o := upstreamAt(t, "http://"+address, func(c *proxy.UpstreamConfig) {
		c.CircuitChanged = func(open bool, _ string) { opened.Store(open) }
	})
	base, before := time.Now(), o.config
	o.config = func(c *proxy.Config) {
		before(c)
		c.Clock = func() time.Time { return base.Add(time.Duration(later.Load())) }
	}
	g := newGatewayAt(t, "http://"+address, o)
	ask := func() int {
		res, err := client(t, 1).Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		return res.StatusCode
	}
	later.Store(int64(10 * time.Second)) // after the last success
	within(t, func() bool { ask(); return opened.Load() })

	held := make(chan struct{})
	s := &http.Server{Protocols: cleartext(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "Stream") {
			close(held)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})}
	if socket, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(socket) }()
	t.Cleanup(func() { _ = s.Close() })
	later.Store(int64(20 * time.Second)) // it is time for a probe
	ctx, cancel := context.WithCancel(t.Context())
	body, more := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/"+unlisted+"Stream", body)
	check(t, err)
	r.Header.Set("Content-Type", "application/grpc")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := client(t, 2).Do(r); err == nil {
			res.Body.Close()
			t.Errorf("answered: %v", res.Header)
		}
	}()
	select {
	case <-held:
	case <-time.After(20 * time.Second):
		t.Fatal("ZITADEL got no probe")
	}
	if status := ask(); status != http.StatusOK {
		t.Errorf("while a probe is held: %d", status)
	}
	cancel()
	_ = more.Close()
	<-gone
}
