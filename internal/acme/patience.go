package acme

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// grace is how long the end of Run waits for a connection in the making.
	grace      = time.Second
	graceCheck = 5 * time.Millisecond
)

// patient returns a context that ends when ctx does, but not while a connection
// to the authority is being made; wait returns when it ended.
//
// net/http goes on to make a connection when the request it was for is called
// off, and keeps it. certmagic has no way to its HTTP client, so nobody could
// close it: it would outlive Run for as long as the authority lets it. Made for
// a request, it is closed with it (see closing).
func patient(ctx context.Context) (slow context.Context, wait func()) {
	slow, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var connecting atomic.Bool
	done := func(err error) {
		if err != nil {
			connecting.Store(false)
		}
	}
	slow = httptrace.WithClientTrace(slow, &httptrace.ClientTrace{
		GetConn:          func(string) { connecting.Store(true) },
		GotConn:          func(httptrace.GotConnInfo) { connecting.Store(false) },
		ConnectDone:      func(_, _ string, err error) { done(err) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { done(err) },
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		<-ctx.Done()
		for end := time.Now().Add(grace); connecting.Load() && time.Now().Before(end); {
			time.Sleep(graceCheck)
		}
	})
	return slow, wg.Wait
}
