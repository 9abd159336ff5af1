package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxIdle is how many unused connections are kept; net/http's default of 2
// costs a handshake for most requests.
const maxIdle = 256

// pool keeps the HTTP/1.1 connections to the upstream. http.Transport's own
// would send some requests twice (a GET, or whatever has an Idempotency-Key,
// whose connection ends before the answer), and give others up of which nothing
// was sent; this one goes by the bytes that left.
type pool struct {
	transport *http.Transport
	scheme    string
	address   string // with a port
	idle, age time.Duration

	mu     sync.Mutex // never held while anything waits
	free   []*line    // the last one was in use last
	sweep  *time.Timer
	closed bool
}

// line is one connection of a pool.
type line struct {
	http  *http.ClientConn
	wire  *countedConn
	until time.Time // when it is too old
	freed time.Time
}

func newPool(c UpstreamConfig, to *url.URL) *pool {
	t := baseTransport(c, "http/1.1")
	t.Protocols.SetHTTP1(true)
	port := to.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[to.Scheme]
	}
	return &pool{
		transport: t, scheme: to.Scheme, address: net.JoinHostPort(to.Hostname(), port),
		idle: c.Timeouts.Idle, age: c.Timeouts.ConnectionAge,
	}
}

// roundTrip sends out over a connection that is there, or a new one. It is sent
// again only if not a byte of it left, and then over a new connection.
func (p *pool) roundTrip(out *http.Request, r rewinder) (*http.Response, error) {
	l := p.take(time.Now())
	for last := false; ; last = true {
		var err error
		if l == nil {
			l, err = p.connect(out.Context())
		}
		if err == nil {
			before := l.wire.sent.Load()
			body, _ := out.Body.(*sending) // nil: it is in memory, or there is none
			l.wire.carry(body)
			var res *http.Response
			if res, err = l.http.RoundTrip(out); err == nil {
				l.wire.carry(nil)
				res.Body = &lentBody{ReadCloser: res.Body, pool: p, line: l}
				return res, nil
			}
			_ = l.http.Close()
			if l.wire.sent.Load() != before {
				return nil, err
			}
			err = &unsentError{err}
		}
		if last || !again(out, err) || !r.rewind(out) {
			return nil, err
		}
		l = nil
	}
}

func (p *pool) connect(ctx context.Context) (*line, error) {
	l := new(line)
	c, err := p.transport.NewClientConn(context.WithValue(ctx, dialledKey{}, &l.wire), p.scheme, p.address)
	if err != nil {
		return nil, err
	}
	l.http, l.until = c, time.Now().Add(spread(p.age))
	return l, nil
}

// take is a connection that nobody uses and that the upstream has not closed,
// or nil. Those that have served longest unused end in sweepIdle.
func (p *pool) take(now time.Time) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.free); n > 0; n = len(p.free) {
		l := p.free[n-1]
		p.free[n-1] = nil
		p.free = p.free[:n-1]
		if l.http.Err() == nil && now.Before(l.until) && now.Sub(l.freed) < p.idle {
			return l
		}
		_ = l.http.Close()
	}
	return nil
}

// give puts a connection back whose answer was read to its end, and ends others.
func (p *pool) give(l *line, now time.Time) {
	if l.http.Available() == 0 || !now.Before(l.until) || !p.keep(l, now) {
		_ = l.http.Close()
	}
}

func (p *pool) keep(l *line, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.free) >= maxIdle {
		return false
	}
	l.freed = now
	p.free = append(p.free, l)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.idle, p.sweepIdle)
	}
	return true
}

// sweepIdle ends what nobody has used for long, and comes again while
// connections are left.
func (p *pool) sweepIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, kept := time.Now(), p.free[:0]
	for _, l := range p.free {
		if now.Sub(l.freed) >= p.idle || !now.Before(l.until) || l.http.Err() != nil {
			_ = l.http.Close()
			continue
		}
		kept = append(kept, l)
	}
	clear(p.free[len(kept):])
	if p.free = kept; len(kept) == 0 || p.closed {
		p.sweep = nil
		return
	}
	p.sweep.Reset(p.idle / 2)
}

// close ends the unused connections, and each other one when it is given back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, l := range p.free {
		_ = l.http.Close()
	}
	p.free = nil
	if p.sweep != nil {
		p.sweep.Stop()
		p.sweep = nil
	}
}

// lentBody gives its connection back when it is closed.
type lentBody struct {
	io.ReadCloser
	pool *pool
	line *line
}

// Close may be called again.
func (b *lentBody) Close() error {
	err := b.ReadCloser.Close()
	if b.line != nil {
		b.pool.give(b.line, time.Now())
		b.line = nil
	}
	return err
}
