package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// wholeBodyTime is how long a body may take that is read before it is forwarded.
const wholeBodyTime = 30 * time.Second

var (
	errBusy = errors.New("reading body: other bodies hold all the memory that there is for them")
	errTurn = errors.New("reading body: others of its caller took too long")
	errSlow = errors.New("reading body: it did not arrive in time")
)

// lease is the memory that one request has taken. A body may be read on after
// its handler has ended: what has ended takes nothing any more.
type lease struct {
	mu     sync.Mutex
	taken  int64
	closed bool
}

// take takes n bytes of memory until the exchange ends.
func (x *exchange) take(n int64) bool {
	x.lease.mu.Lock()
	defer x.lease.mu.Unlock()
	if x.lease.closed || !x.memory.take(x.record.Caller, n) {
		return false
	}
	x.lease.taken += n
	return true
}

// giveBack ends the lease.
func (x *exchange) giveBack() {
	x.lease.mu.Lock()
	defer x.lease.mu.Unlock()
	x.lease.closed = true
	if x.lease.taken > 0 {
		x.memory.give(x.record.Caller, x.lease.taken)
	}
}

// readWholeBody reads up to limit bytes. The buffer grows with what arrives, not
// with what is announced: a length costs the caller nothing. On an error it
// returns what it has read so far.
func (x *exchange) readWholeBody(limit int64) ([]byte, error) {
	x.readUntil(time.Now().Add(wholeBodyTime))
	body, err := x.grow(limit)
	if err == nil && x.in.ProtoMajor == 1 { // a stream of HTTP/2 takes its deadline along
		x.readUntil(time.Time{})
	}
	return body, err
}

// readUntil bounds how long the body may be waited for; the zero time lifts the bound.
func (x *exchange) readUntil(end time.Time) {
	if deadline, ok := x.w.ResponseWriter.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = deadline.SetReadDeadline(end)
	}
}

func (x *exchange) grow(limit int64) ([]byte, error) {
	body, size := []byte(nil), int64(512)
	for {
		if n := x.in.ContentLength; n >= 0 {
			size = min(size, n)
		}
		if size = min(size, limit+1); !x.take(size - int64(cap(body))) {
			return body, errBusy
		}
		grown := make([]byte, len(body), size)
		copy(grown, body)
		body = grown
		var err error
		if body, err = fill(x.in.Body, body); err != nil {
			return body, ended(err)
		}
		switch n := x.in.ContentLength; {
		case n >= 0 && int64(len(body)) == n:
			return body, nil
		case int64(len(body)) > limit:
			return body, errTooLarge
		}
		size *= 2
	}
}

// fill reads until the capacity of body is full.
func fill(r io.Reader, body []byte) ([]byte, error) {
	for len(body) < cap(body) {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil {
			return body, err
		}
	}
	return body, nil
}

// ended tells the end of a body, nil, from an end before its end.
func ended(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return errSlow
	}
	return io.ErrUnexpectedEOF
}

// putBack gives the body what was read of it, so that it streams as if nothing
// had been.
func (x *exchange) putBack(read []byte) {
	if len(read) == 0 {
		return
	}
	x.in.Body = &resumedBody{ReadCloser: x.in.Body, read: read}
}

type resumedBody struct {
	io.ReadCloser
	read []byte
}

func (b *resumedBody) Read(p []byte) (int, error) {
	if len(b.read) > 0 {
		n := copy(p, b.read)
		b.read = b.read[n:]
		return n, nil
	}
	return b.ReadCloser.Read(p)
}

// drainTime is how long net/http may wait for the rest of an HTTP/1 body that
// nobody is going to read.
const drainTime = time.Second

// endUnread bounds that: net/http takes the rest in, so that the answer is not
// lost in a reset, before it sends an answer of ours or after it has sent the upstream's.
func (x *exchange) endUnread() {
	if x.in.ProtoMajor != 1 || x.in.Body == nil || x.in.Body == http.NoBody || x.isRead || x.body != nil && x.body.done.Load() {
		return
	}
	if x.sent != nil {
		x.sent.end() // net/http would end the read by a deadline of its own, and lift this one
	}
	x.readUntil(time.Now().Add(drainTime))
}

// endDuplex ends the connection of a caller whose body has not ended when its
// answer begins. Closing the body may spoil the connection, and what follows on
// it must not be taken for a request; and where the rest comes after the answer,
// net/http reads it and the next request at once, and panics.
func (x *exchange) endDuplex() {
	if x.duplex && !x.body.done.Load() {
		x.w.Header().Set("Connection", "close")
	}
}
