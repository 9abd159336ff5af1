package proxy

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pending is when a read or a write began that has not ended. It goes by the
// machine's clock, whatever the proxy's: one that is set must end nothing.
type pending struct {
	base  time.Time    // a moment before
	since atomic.Int64 // after base, as a time.Duration; 0 while none is pending
}

func (p *pending) begin() { p.since.Store(int64(time.Since(p.base)) + 1) }
func (p *pending) end()   { p.since.Store(0) }

// lasts tells whether one is pending for limit or longer.
func (p *pending) lasts(limit time.Duration) bool {
	since := p.since.Load()
	return since != 0 && time.Since(p.base)-time.Duration(since) >= limit
}

// pieceBytes is how much of an answer over HTTP/2 is written at a time, and so
// what a caller has to take within limits.stall. It is a frame's usual size.
const pieceBytes = 16 << 10

// taking watches over HTTP/2 whether the caller takes its answer. The connection
// cannot: a stream whose window the caller does not open holds its request for
// ever, and blocks no write below it.
type taking struct {
	among      *takers // nil: HTTP/1
	next, prev *taking // of takers, guarded by its mu

	writes  pending
	to      http.ResponseWriter
	mu      sync.Mutex // guards what follows, and to until left
	left    bool       // the handler is about to end, and to must not be touched
	stalled bool
}

func (t *taking) write(to http.ResponseWriter, p []byte) (int, error) {
	if t.among == nil {
		n, err := to.Write(p)
		t.learn(err)
		return n, err
	}
	written := 0
	for {
		piece := p[written:min(len(p), written+pieceBytes)]
		t.writes.begin()
		n, err := to.Write(piece)
		t.ended(err)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

func (t *taking) flush(to http.ResponseWriter) error {
	if t.among == nil {
		err := http.NewResponseController(to).Flush()
		t.learn(err)
		return err
	}
	t.writes.begin()
	err := http.NewResponseController(to).Flush()
	t.ended(err)
	return err
}

// ended ends what is pending. That it took so long and failed means that the
// connection has given its caller up before a review found it.
func (t *taking) ended(err error) {
	if err != nil && t.writes.lasts(time.Duration(t.among.limit.Load())) {
		t.learn(os.ErrDeadlineExceeded)
	}
	t.writes.end()
}

// learn takes down that the connection has given its caller up.
func (t *taking) learn(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.mu.Lock()
		t.stalled = true
		t.mu.Unlock()
	}
}

func (t *taking) hasStalled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stalled
}

// reset ends the stream of a caller that takes nothing: the write that is
// pending fails, and with it the request.
func (t *taking) reset(limit time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left || t.stalled || !t.writes.lasts(limit) {
		return
	}
	t.stalled = true
	_ = http.NewResponseController(t.to).SetWriteDeadline(time.Unix(1, 0))
}

// takers are the requests under way over HTTP/2. They are linked to one another,
// so that a request costs no allocation more.
type takers struct {
	limit atomic.Int64 // a time.Duration
	mu    sync.Mutex
	first *taking
}

func (all *takers) enter(x *exchange) {
	t := &x.w.taking
	t.among, t.to, t.writes.base = all, x.w.ResponseWriter, time.Now()
	all.mu.Lock()
	defer all.mu.Unlock()
	if t.next = all.first; t.next != nil {
		t.next.prev = t
	}
	all.first = t
}

func (all *takers) leave(t *taking) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if t.next != nil {
		t.next.prev = t.prev
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		all.first = t.next
	}
	t.next, t.prev = nil, nil
}

// cut ends the requests whose callers have taken nothing for the limit.
func (all *takers) cut() {
	limit := time.Duration(all.limit.Load())
	for _, t := range all.stuck(limit) {
		t.reset(limit)
	}
}

func (all *takers) stuck(limit time.Duration) []*taking {
	all.mu.Lock()
	defer all.mu.Unlock()
	var stuck []*taking
	for t := all.first; t != nil; t = t.next {
		if t.writes.lasts(limit) {
			stuck = append(stuck, t)
		}
	}
	return stuck
}

// leaveTakers waits, while that is watched still, until the caller has room for
// all of its answer: net/http would hold the rest after the request has left
// its record. An answer without a body takes no room.
func (x *exchange) leaveTakers(whole bool) {
	t := &x.w.taking
	if t.among == nil {
		return
	}
	if whole && x.w.bytes > 0 {
		_ = t.flush(t.to) // what goes wrong otherwise is the connection's end
	}
	t.mu.Lock()
	t.left = true
	t.mu.Unlock()
	t.among.leave(t)
	if whole && t.hasStalled() && x.record.Attempts > 0 {
		x.record.Reason = string(ReasonStalled)
	}
}

// bodyStalls tells whether the caller has sent nothing of its body for limit. In
// a stream that is its right.
func (x *exchange) bodyStalls(limit time.Duration) bool {
	return x.body != nil && !x.resolved.Operation.Unlisted && x.body.waits.lasts(limit)
}
