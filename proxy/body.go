package proxy

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// inBody is the body of in on its way upstream: counted, limited, and closable
// while a read of it is pending.
type inBody struct {
	body  io.ReadCloser
	limit int64 // bytes that may still be read

	read   atomic.Int64
	ended  atomic.Bool // the exchange is over: net/http reads the body itself now
	done   atomic.Bool // the whole body was read
	over   atomic.Bool // the limit was hit
	broken atomic.Bool // it ended before its end

	// waits is the read that is pending.
	waits pending

	// refused is why a message in the body is not forwarded, see [guardedBody].
	refused atomic.Pointer[error]

	// closes ends a pending read; nil where nothing waits for one.
	closes func() error
}

// newInBody wraps the body of r. Only an HTTP/2 transport waits, when the
// upstream's answer is closed, for whoever still reads the request body.
func newInBody(w http.ResponseWriter, r *http.Request, limit int64, toHTTP2 bool) *inBody {
	b := &inBody{body: r.Body, limit: limit, waits: pending{base: time.Now()}}
	switch {
	case !toHTTP2:
	case r.ProtoMajor == 2:
		b.closes = r.Body.Close
	default:
		// net/http's HTTP/1 body cannot be closed while it is read. The deadline
		// spoils the connection, which is closed after the answer: see relay.
		b.closes = func() error { return http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) }
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
	switch err {
	case nil:
	case io.EOF:
		b.done.Store(true)
	default:
		b.broken.Store(true)
	}
	return n, err
}

// Close ends a pending read. ReverseProxy closes the upstream's answer before
// the handler returns, and an HTTP/2 transport waits there for the request
// body: without this, a stream that ZITADEL ends early hangs until the caller
// gives up (golang/go#80085). The rest is net/http's to drain or cut off.
func (b *inBody) Close() error {
	if b.closes == nil || b.done.Load() {
		return nil
	}
	return b.closes()
}

// replay is the body that was read before forwarding, to be sent from its
// beginning. Of this very kind net/http knows that it is in memory, and sends it
// with the header in one packet.
func (x *exchange) replay() io.ReadCloser {
	r := &x.reader
	if x.replays++; x.replays > 1 { // something may read the one before still
		r = new(bytes.Reader)
	}
	r.Reset(x.whole)
	return io.NopCloser(r)
}
