package proxy

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// renewed is the way to the upstream by HTTP/2, whose connections are shared by
// many calls and are never idle under load: from time to time calls go over new
// ones, and the old end with their last call.
//
// http.Transport sends a call again that the upstream says it has not looked at
// (REFUSED_STREAM, GOAWAY) or that broke the protocol. It does so only if it can
// have the body anew, and no request that goes over it lets it: what is left is
// the call of which nothing was sent because its connection had ended.
type renewed struct {
	fresh func() *http.Transport
	age   time.Duration

	now atomic.Pointer[aged]

	mu  sync.Mutex // held to replace now, never to read it
	old *http.Transport
}

type aged struct {
	*http.Transport
	until time.Time
}

func newRenewed(c UpstreamConfig, scheme string) *renewed {
	r := &renewed{age: c.Timeouts.ConnectionAge, fresh: func() *http.Transport {
		t := baseTransport(c, "h2")
		t.Protocols.SetHTTP2(scheme == "https")
		t.Protocols.SetUnencryptedHTTP2(scheme == "http")
		t.HTTP2 = &http.HTTP2Config{
			// Finds a dead connection instead of sending calls into it.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     10 * time.Second,
		}
		return t
	}}
	r.now.Store(&aged{r.fresh(), time.Now().Add(spread(r.age))})
	return r
}

// current is the transport that calls go over now.
func (r *renewed) current() *http.Transport {
	a := r.now.Load()
	if time.Now().Before(a.until) {
		return a.Transport
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a = r.now.Load(); time.Now().Before(a.until) {
		return a.Transport
	}
	if r.old != nil {
		r.old.CloseIdleConnections()
	}
	r.old = a.Transport
	r.old.CloseIdleConnections() // those in use end when they have been idle
	a = &aged{r.fresh(), time.Now().Add(spread(r.age))}
	r.now.Store(a)
	return a.Transport
}

func (r *renewed) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Load().CloseIdleConnections()
	if r.old != nil {
		r.old.CloseIdleConnections()
	}
}

// spread shortens d by up to a fifth, so that what began together does not end together.
func spread(d time.Duration) time.Duration {
	return d - time.Duration(rand.Float64()*float64(d)/5)
}
