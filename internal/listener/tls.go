package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zproxy/zproxy/internal/turns"
)

// handshakeTimeout bounds a handshake and the wait for its turn, and the others
// how many run at once, in all and from one address: what callers that never end
// one can cost, and that they hold up none but those of their own address.
const (
	handshakeTimeout     = 10 * time.Second
	maxHandshakes        = 2048
	handshakesPerAddress = 128
)

// TLS returns a listener whose connections have passed their handshake: none
// holds up another, and what fails is told to refused, which may be nil and is
// called by many goroutines. Close ends handshakes under way.
//
// Accept gives a [*tls.Conn] where HTTP/2 was agreed on, for the http.Server to
// see, and else one that [Observe] can watch; [TLSConn] finds the connection in both.
// Where another protocol than HTTP was agreed on, such as acme-tls/1, which asks
// for no client certificate, the connection ends with its handshake.
func TLS(l net.Listener, config *tls.Config, refused func(*tls.Conn, error)) *Secured {
	if refused == nil {
		refused = func(*tls.Conn, error) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Secured{
		Listener: l, config: config, refused: refused, ctx: ctx, cancel: cancel,
		ready: make(chan net.Conn), slots: make(chan struct{}, maxHandshakes), turns: turns.New(handshakesPerAddress), ended: make(chan error, 1),
	}
	go t.accept()
	return t
}

// Secured is a listener with TLS; see [TLS].
type Secured struct {
	net.Listener
	config  *tls.Config
	refused func(*tls.Conn, error)
	ctx     context.Context
	cancel  context.CancelFunc
	ready   chan net.Conn
	slots   chan struct{}
	turns   *turns.Turns // of each address
	ended   chan error   // why accepting ended
	running sync.WaitGroup
	shaking atomic.Int64 // handshakes under way, and what passed and is not accepted yet
}

// accept takes connections and shakes hands with each in a goroutine of its own.
func (t *Secured) accept() {
	for {
		c, err := t.Listener.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() && t.ctx.Err() == nil { // no file descriptor left, for one
				select {
				case <-time.After(50 * time.Millisecond):
				case <-t.ctx.Done():
				}
				continue
			}
			t.ended <- err
			return
		}
		t.shaking.Add(1)
		t.running.Go(func() { defer t.shaking.Add(-1); t.shake(c) })
	}
}

// wait waits until a handshake with address may begin, or ctx ends, and returns
// what ends either.
func (t *Secured) wait(ctx context.Context, address string) (leave func()) {
	end, ok := t.turns.Wait(ctx, address)
	if !ok {
		return func() {}
	}
	select {
	case t.slots <- struct{}{}:
		return func() { <-t.slots; end() }
	case <-ctx.Done():
		return end
	}
}

func (t *Secured) shake(c net.Conn) {
	conn := tls.Server(c, t.config)
	ctx, cancel := context.WithTimeout(t.ctx, handshakeTimeout)
	leave := t.wait(ctx, addressOf(c))
	err := conn.HandshakeContext(ctx) // which fails at once if no turn came
	leave()
	cancel()
	if err != nil {
		if t.ctx.Err() == nil {
			t.refused(conn, err)
		}
		_ = conn.Close()
		return
	}
	var out net.Conn
	switch conn.ConnectionState().NegotiatedProtocol {
	case "h2":
		out = conn
	case "", "http/1.1":
		out = &overTLS{conn}
	default: // an http.Server that sees no TLS would serve HTTP/1 over it
		_ = conn.Close()
		return
	}
	select {
	case t.ready <- out:
	case <-t.ctx.Done():
		_ = conn.Close()
	}
}

// Accept implements [net.Listener].
func (t *Secured) Accept() (net.Conn, error) {
	select {
	case c := <-t.ready:
		return c, nil
	case err := <-t.ended:
		t.ended <- err
		return nil, err
	}
}

// Settle waits until no handshake is under way, or ctx ends. Nothing new may
// come in meanwhile.
func (t *Secured) Settle(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for t.shaking.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Close implements [net.Listener].
func (t *Secured) Close() error {
	t.cancel()
	err := t.Listener.Close()
	t.running.Wait()
	return err
}

// overTLS is a connection with HTTP/1 over TLS. The http.Server must not know it for
// TLS: it would hand its answers past who observes them.
type overTLS struct{ *tls.Conn }

// TLSConn is the TLS connection under c, nil where there is none. It may be
// wrapped by [Observe].
func TLSConn(c net.Conn) *tls.Conn {
	for {
		switch inner := c.(type) {
		case *tls.Conn:
			return inner
		case *overTLS:
			return inner.Conn
		case *conn:
			c = inner.Conn
		default:
			return nil
		}
	}
}
