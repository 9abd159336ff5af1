package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// inBody is the body of in on its way upstream: counted and limited.
type inBody struct {
	in    *http.Request
	body  io.ReadCloser
	limit int64 // bytes that may still be read

	read    atomic.Int64
	ended   atomic.Bool // the exchange is over: net/http reads the body itself now
	done    atomic.Bool // the whole body was read
	over    atomic.Bool // the limit was hit
	broken  atomic.Bool // it ended before its end
	stopped atomic.Bool // zproxy ended a read of it, and not the caller

	// waits is the read that is pending.
	waits pending

	// refused is why a message in the body is not forwarded, see [guardedBody].
	refused atomic.Pointer[error]

	// end ends a read that is pending.
	end func() error
}

// newInBody wraps the body of in.
func (x *exchange) newInBody() *inBody {
	b := &inBody{in: x.in, body: x.in.Body, limit: x.bodyBytes, waits: pending{base: time.Now()}, end: x.in.Body.Close}
	if x.in.ProtoMajor == 1 {
		// net/http's HTTP/1 body cannot be closed while it is read. The deadline
		// spoils the connection, which is closed after the answer: see endDuplex.
		w := x.w.ResponseWriter
		b.end = func() error { return http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) }
	}
	return b
}

func (b *inBody) Read(p []byte) (int, error) {
	if b.ended.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.waits.begin()
	n, err := b.body.Read(p)
	b.waits.end()
	if total := b.read.Add(int64(n)); total > b.limit {
		b.over.Store(true)
		return 0, errTooLarge
	}
	switch {
	case err == nil:
	case err == io.EOF:
		b.done.Store(true)
	case b.stopped.Load():
		err = http.ErrBodyReadAfterClose // and no timeout of the upstream's
	default:
		b.broken.Store(true)
	}
	return n, err
}

// stop ends a read that is pending, for good. Over HTTP/1 that ends the context
// of in, as if the caller had gone away.
func (b *inBody) stop() {
	if b.done.Load() {
		return
	}
	if b.in.Context().Err() == nil {
		b.stopped.Store(true)
	}
	_ = b.end()
}

// callerGone tells whether the caller went away first.
func (x *exchange) callerGone() bool {
	return x.in.Context().Err() != nil && (x.body == nil || !x.body.stopped.Load())
}

// sending is the body as one attempt sends it. It is closed when nobody upstream
// takes any more of it: by net/http, by the end of the connection or of the
// request before the answer has begun, and over HTTP/2 before the answer is
// closed. A read that is pending ends then: net/http waits for it before it says
// what became of the attempt (golang/go#80085), and a caller who sends no more
// would get no answer. What is left is net/http's to drain or cut off.
type sending struct {
	from    io.Reader
	body    *inBody
	mu      sync.Mutex // held while it is read
	reading atomic.Bool
	closed  atomic.Bool
	// unbind lets it live on when the request ends.
	unbind func() bool
}

// sendBody makes the body of one more attempt to send out.
func (x *exchange) sendBody(out *http.Request) {
	if x.sent != nil {
		x.sent.unbind()
	}
	s := &sending{from: x.out, body: x.body}
	s.unbind = context.AfterFunc(out.Context(), func() { _ = s.Close() })
	x.sent, out.Body = s, s
}

func (s *sending) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading.Store(true)
	defer s.reading.Store(false)
	if s.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return s.from.Read(p)
}

// Close leaves a body that nobody reads as it is, for another attempt.
func (s *sending) Close() error {
	s.closed.Store(true)
	if s.reading.Load() {
		s.body.stop()
	}
	return nil
}

// end closes s and waits for whoever reads it.
func (s *sending) end() {
	_ = s.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
}

// replay is the body that was read before forwarding, to be sent from its
// beginning. Of this very kind net/http knows that it is in memory, and sends it
// with the header in one packet.
func (x *exchange) replay() io.ReadCloser {
	r := &x.reader
	if x.replays++; x.replays > 1 { // something may read the one before still
		r = new(heldReader)
	}
	r.Reset(x.whole)
	if x.toHTTP2() {
		return r // net/http does not ask there
	}
	return io.NopCloser(&r.Reader)
}

// heldReader reads a body that is in memory.
type heldReader struct{ bytes.Reader }

// Close has nothing to do.
func (*heldReader) Close() error { return nil }
