package listener

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// looks is how often within its limit a write that waits is looked at.
const looks = 4

// unsentBytes is how much the kernel holds of what is written to a TCP
// connection and not sent yet, about: where it decides itself, a caller that
// takes nothing makes it hold megabytes.
const unsentBytes = 128 << 10

// impatient is a connection whose writes fail once the other end has taken no
// byte for the limit: it must lie below TLS, which cannot go on after a write
// that was cut short. A write may take as long as it will while bytes are taken,
// and a connection with nothing to write lives on.
type impatient struct {
	net.Conn
	limit *atomic.Int64 // a time.Duration

	mu    sync.Mutex
	own   time.Time // the deadline that whoever writes has set
	armed time.Time // the deadline that the connection has
	gone  bool      // the other end took nothing for the limit
}

func newImpatient(c net.Conn, limit *atomic.Int64) *impatient {
	if tcp, ok := c.(*net.TCPConn); ok {
		boundUnsent(tcp)
	}
	return &impatient{Conn: c, limit: limit}
}

// boundUnsent bounds what the kernel holds; see tcp(7). Where it cannot, memory
// is spent, and nothing worse.
func boundUnsent(c *net.TCPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
		})
	}
}

// patience is the limit of now; whoever lifts it waits a year.
func (c *impatient) patience() time.Duration {
	if d := time.Duration(c.limit.Load()); d > 0 {
		return d
	}
	return 365 * 24 * time.Hour
}

// Write implements [net.Conn].
func (c *impatient) Write(p []byte) (int, error) {
	written, taken := 0, time.Now() // when the other end last took a byte
	for {
		if err := c.arm(time.Now()); err != nil {
			return written, err
		}
		// The kernel tells that there is room only when there is much of it again,
		// but fills what there is whenever it is tried.
		n, err := c.Conn.Write(p[written:])
		written += n
		now := time.Now()
		switch {
		case err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || c.isOver(now):
			return written, err
		case n > 0:
			taken = now
		case now.Sub(taken) >= c.patience():
			c.giveUp()
		}
	}
}

// arm sets the deadline at which a write is looked at, or that of whoever
// writes if it is sooner. One that is there and far enough away is left.
func (c *impatient) arm(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return fmt.Errorf("writing to caller: it took no byte for %s: %w", c.patience(), os.ErrDeadlineExceeded)
	}
	step := c.patience() / looks
	until := now.Add(step)
	if !c.own.IsZero() && c.own.Before(until) {
		until = c.own
	} else if ahead := c.armed.Sub(now); ahead >= step/2 && ahead <= step {
		return nil
	}
	c.armed = until
	return c.Conn.SetWriteDeadline(until)
}

// isOver tells whether the deadline of whoever writes has passed.
func (c *impatient) isOver(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.own.IsZero() && !now.Before(c.own)
}

// giveUp lets this write fail and all that follow, and has the kernel drop what
// it holds when the connection is closed, instead of offering it for minutes.
func (c *impatient) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// SetWriteDeadline implements [net.Conn].
func (c *impatient) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own = t; t.IsZero() { // the next write sets its own
		return nil
	}
	c.armed = t
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements [net.Conn].
func (c *impatient) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite shuts down the writing side, where there is one.
func (c *impatient) CloseWrite() error { return closeWrite(c.Conn) }

// NetConn returns the connection as it was accepted.
func (c *impatient) NetConn() net.Conn { return c.Conn }
