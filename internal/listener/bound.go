package listener

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds are how many connections may be open at once: in all, and from one
// address, or from one user of the machine where there is a unix socket.
type Bounds struct {
	Total, PerAddress int
	// Stall is how long the other end may take no byte of what is written to it;
	// then the write fails with an [os.ErrDeadlineExceeded]. If 0, for ever.
	Stall time.Duration
}

// Bound returns a listener that closes connections beyond b at once, and tells
// refused of each, which may be nil.
func Bound(l net.Listener, b Bounds, refused func(net.Addr)) *Bounded {
	if refused == nil {
		refused = func(net.Addr) {}
	}
	bounded := &Bounded{Listener: l, refused: refused, from: make(map[string]int)}
	bounded.SetBounds(b)
	return bounded
}

// Bounded is a listener with bounds; see [Bound].
type Bounded struct {
	net.Listener
	refused func(net.Addr)
	stall   atomic.Int64 // a time.Duration

	mu     sync.Mutex
	bounds Bounds
	open   int
	from   map[string]int
}

// SetBounds replaces the bounds. Connections that are open stay, and count.
func (b *Bounded) SetBounds(bounds Bounds) {
	b.stall.Store(int64(bounds.Stall))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bounds = bounds
}

// Accept implements [net.Listener].
func (b *Bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := addressOf(c)
		if b.enter(address) {
			if b.stall.Load() > 0 {
				c = newImpatient(c, &b.stall)
			}
			return &counted{Conn: c, leave: sync.OnceFunc(func() { b.leave(address) })}, nil
		}
		_ = c.Close()
		b.refused(c.RemoteAddr())
	}
}

func addressOf(c net.Conn) string {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.IP.String()
	}
	if uid := uidOf(c); uid != "" { // each user of the machine is a caller of its own
		return "uid=" + uid
	}
	return ""
}

func (b *Bounded) enter(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open >= b.bounds.Total || address != "" && b.from[address] >= b.bounds.PerAddress {
		return false
	}
	b.open++
	if address != "" {
		b.from[address]++
	}
	return true
}

func (b *Bounded) leave(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if address == "" {
		return
	}
	if b.from[address]--; b.from[address] == 0 {
		delete(b.from, address)
	}
}

// counted is a connection that leaves its place when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite shuts down the writing side, where there is one.
func (c *counted) CloseWrite() error { return closeWrite(c.Conn) }

// NetConn returns the connection as it was accepted.
func (c *counted) NetConn() net.Conn { return c.Conn }
