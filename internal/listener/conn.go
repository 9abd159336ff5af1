package listener

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The states of an HTTP/1 connection. After a handler ended, net/http still
// writes what it buffered of the answer; then it clears the write deadline,
// and whatever it writes before the next handler begins is its own answer.
const (
	between   uint32 = iota // no handler has the connection
	handling                // a handler runs
	finishing               // it ended; its answer may still be on the way out
	ignored                 // not HTTP/1
)

// conn is a connection that knows whose answer is being written.
type conn struct {
	net.Conn
	report func(ConnInfo, int)
	state  atomic.Uint32
}

func (c *conn) markBegin() { c.state.Store(handling) }
func (c *conn) markEnd()   { c.state.Store(finishing) }

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	if c.state.Load() == between {
		c.observe(p)
	}
	return c.Conn.Write(p)
}

// observe reports p if it begins an answer. Only one is told of on a
// connection: net/http closes it after its own answer.
func (c *conn) observe(p []byte) {
	if status, ok := statusOf(p); ok {
		c.report(ConnInfo{Peer: c.peer()}, status)
	}
	c.state.CompareAndSwap(between, ignored)
}

// SetWriteDeadline implements [net.Conn]. The http.Server clears the deadline
// when an answer is written in full.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.state.CompareAndSwap(finishing, between)
	}
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite shuts down the writing side. net/http does so after its answer, or
// the reset that follows a close with bytes unread would take the answer away.
func (c *conn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection as it was accepted.
func (c *conn) NetConn() net.Conn { return c.Conn }

// statusOf reads the status of an HTTP/1 status line (RFC 9112 section 4).
func statusOf(p []byte) (int, bool) {
	const length = len("HTTP/1.1 400")
	if len(p) < length || !strings.HasPrefix(string(p[:length]), "HTTP/1.") || p[8] != ' ' {
		return 0, false
	}
	status, err := strconv.Atoi(string(p[9:length]))
	return status, err == nil && status >= 100
}

// accepted is the connection under those that wrap it.
func accepted(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = w.NetConn()
	}
}

// peer is the other end in the form that audit records use.
func (c *conn) peer() string {
	if cred := credentials(c.Conn); cred != nil {
		return "uid=" + strconv.Itoa(int(cred.Uid)) + " gid=" + strconv.Itoa(int(cred.Gid)) + " pid=" + strconv.Itoa(int(cred.Pid))
	}
	return c.RemoteAddr().String()
}

// uidOf is the user at the other end of a unix socket, "" elsewhere.
func uidOf(c net.Conn) string {
	if cred := credentials(c); cred != nil {
		return strconv.Itoa(int(cred.Uid))
	}
	return ""
}

// credentials are those of a unix socket's peer, nil elsewhere.
func credentials(c net.Conn) *unix.Ucred {
	s, ok := accepted(c).(syscall.Conn)
	if _, local := c.RemoteAddr().(*net.UnixAddr); !local || !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return nil
	}
	return cred
}
