package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// wholeBodyTime is how long a body may take that is read before it is
	// forwarded, once it has grown beyond smallBody bytes.
	wholeBodyTime = 30 * time.Second
	smallBody     = 16 << 10
)

var (
	errBusy = errors.New("reading body: other bodies hold all the memory that there is for them")
	errSlow = errors.New("reading body: it did not arrive in time")
)

// memory bounds what bodies that are read whole may hold together.
type memory struct {
	most int64
	held atomic.Int64
}

func (m *memory) take(n int64) bool {
	if m.held.Add(n) <= m.most {
		return true
	}
	m.held.Add(-n)
	return false
}

func (m *memory) give(n int64) { m.held.Add(-n) }

// readWholeBody reads up to limit bytes. The buffer grows with what arrives, not
// with what is announced: a length costs the caller nothing. What it holds is
// given back by [exchange.end].
func (x *exchange) readWholeBody(limit int64) ([]byte, error) {
	body, size := []byte(nil), int64(512)
	if n := x.in.ContentLength; n >= 0 {
		size = n
	}
	size = min(size, smallBody)
	for {
		if !x.memory.take(size - int64(cap(body))) {
			return nil, errBusy
		}
		x.holds += size - int64(cap(body))
		grown := make([]byte, len(body), size)
		copy(grown, body)
		body = grown
		var err error
		if body, err = fill(x.in.Body, body); err != nil {
			return whole(body, err)
		}
		switch n := x.in.ContentLength; {
		case n >= 0 && int64(len(body)) == n:
			return body, nil
		case int64(len(body)) > limit:
			return nil, errTooLarge
		}
		if size == smallBody { // what is small may be slow, as a stream may
			control := http.NewResponseController(x.w.ResponseWriter)
			_ = control.SetReadDeadline(time.Now().Add(wholeBodyTime)) // all our servers have deadlines
			defer func() { _ = control.SetReadDeadline(time.Time{}) }()
		}
		if size *= 2; x.in.ContentLength >= 0 {
			size = min(size, x.in.ContentLength)
		}
		size = min(size, limit+1)
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

// whole tells the end of a body from an end before its end.
func whole(body []byte, err error) ([]byte, error) {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.EOF):
		return body, nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, errSlow
	}
	return nil, io.ErrUnexpectedEOF
}
