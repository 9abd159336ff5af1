package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lastRecords bounds how long cut-off requests have for their outcome records.
const lastRecords = 5 * time.Second

// lastWords is how long streams that were cut off have to tell their callers.
const lastWords = 500 * time.Millisecond

// arrival is how long a connection may be on its way from the socket to the
// server, who would not wait for it yet.
const arrival = 10 * time.Millisecond

// drain ends serving: nothing new is accepted, requests in flight may end within
// limits.drain, and what does not is cut off.
func (g *Gateway) drain() error {
	n := g.current.Load()
	g.log.Info().Stringer("within", n.cfg.Limits.Drain).Msg("draining: no new connections, requests in flight may end")
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.Limits.Drain)
	defer cancel()
	stop := context.AfterFunc(ctx, n.proxy.CutStreams) // so that their callers read why
	defer stop()
	done := make(chan error)
	for _, f := range n.fronts {
		go func() { done <- f.end(ctx) }()
	}
	var errs []error
	for range n.fronts {
		errs = append(errs, <-done)
	}
	// Those of earlier generations, whose time began earlier.
	wait(ctx, &g.leaving)
	return errors.Join(append(errs, g.lastRecords(n))...)
}

// lastRecords waits until the requests of all generations have left their
// outcome records: what was cut off has yet to write its own.
func (g *Gateway) lastRecords(n *generation) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastRecords)
	defer cancel()
	n.leave()
	g.retire(n)
	if !wait(ctx, &g.retiring) {
		return fmt.Errorf("waiting for outcome records: %w", ctx.Err())
	}
	return nil
}

// retire ends n once its last request has left, or all ends.
func (g *Gateway) retire(n *generation) {
	g.retiring.Go(func() {
		select {
		case <-n.left:
		case <-g.jobs.ctx.Done():
		}
		n.end()
	})
}

// wait returns when all are done, or false once ctx has ended.
func wait(ctx context.Context, all *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// end closes the socket, and then the front.
func (f *front) end(ctx context.Context) error {
	closed := make(chan error, 1)
	go func() { closed <- f.socket.Close() }()
	select {
	case err := <-closed:
		return errors.Join(err, f.shutdown(ctx))
	case <-ctx.Done(): // a connection waits to be taken; it will be cut off
		return errors.Join(f.shutdown(ctx), <-closed)
	}
}

// shutdown lets the requests end that are in flight, HTTP/2 connections by
// GOAWAY, and cuts off what has not ended when ctx does. The socket has another
// taker by now, or is closed.
func (f *front) shutdown(ctx context.Context) error {
	time.Sleep(arrival)
	if f.over != nil {
		f.over.Settle(ctx)
	}
	err := f.http.Shutdown(ctx)
	if err != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		_ = f.http.Shutdown(last) // streams have been told just now
		cancel()
		_ = f.http.Close()
		err = fmt.Errorf("draining listener %s: requests in flight were cut off: %w", f.name, err)
	}
	f.rest()
	return err
}
