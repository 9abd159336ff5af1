package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// dialer makes connections to the upstream. Go's resolver remembers nothing, so
// each new connection follows what DNS says then.
type dialer struct {
	within time.Duration // for name, connection and handshake together
	tcp    net.Dialer
	trust  *tls.Config
}

func newDialer(within time.Duration, names *net.Resolver, trust *tls.Config) *dialer {
	return &dialer{within: within, trust: trust, tcp: net.Dialer{KeepAlive: 15 * time.Second, Resolver: names}}
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	c, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, &unsentError{err}
	}
	return c, nil
}

func (d *dialer) connect(ctx context.Context, network, address string) (*countedConn, error) {
	c, err := d.tcp.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: c}
	if to, ok := ctx.Value(dialledKey{}).(**countedConn); ok {
		*to = counted
	}
	return counted, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	c, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, &unsentError{err}
	}
	secured := tls.Client(c, d.trust)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, &unsentError{err}
	}
	return secured, nil
}

// dialledKey is under what a context holds where to put the connection that is
// made: an http.ClientConn does not show its own.
type dialledKey struct{}

// countedConn knows how many bytes the system has taken to send, and whose
// body they are of.
type countedConn struct {
	net.Conn
	sent   atomic.Int64
	closed atomic.Bool
	body   atomic.Pointer[sending]
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// carry closes s with the connection: net/http finds out at once that the
// upstream ended it, but not while a body is read says so. nil carries nothing.
func (c *countedConn) carry(s *sending) {
	c.body.Store(s)
	if s != nil && c.closed.Load() {
		_ = s.Close()
	}
}

func (c *countedConn) Close() error {
	c.closed.Store(true)
	if s := c.body.Load(); s != nil {
		_ = s.Close()
	}
	return c.Conn.Close()
}
