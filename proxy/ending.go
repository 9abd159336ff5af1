package proxy

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/zproxy/zproxy/policy/operation"
)

// framing follows the frames of a gRPC-web or Connect stream, to know where one ends.
type framing struct {
	prefix [5]byte
	have   int   // bytes of prefix
	left   int64 // bytes of the message behind it
}

// note takes in what went to the caller.
func (f *framing) note(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, int64(len(p)))
			f.left -= n
			p = p[n:]
			continue
		}
		n := copy(f.prefix[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have == len(f.prefix) {
			f.have, f.left = 0, int64(binary.BigEndian.Uint32(f.prefix[1:]))
		}
	}
}

// between tells whether no frame has begun and not ended.
func (f *framing) between() bool { return f.have == 0 && f.left == 0 }

// lastFrame is the frame by which a stream of protocol tells how it ended; nil
// where there is none.
func lastFrame(protocol operation.Protocol, r *refusal, id string) []byte {
	as, message := wireOf(r.reason), told(r, id)
	switch protocol {
	case operation.GRPCWeb:
		return frame(0x80, []byte("grpc-status: "+strconv.Itoa(int(as.code))+"\r\ngrpc-message: "+percentEncode(message)+"\r\n"))
	case operation.ConnectStream:
		end, err := json.Marshal(map[string]any{"error": connectBody(as, nil, message)})
		if err != nil { // strings only: cannot happen
			return nil
		}
		return frame(0x02, end)
	}
	return nil
}

// breakOff ends an answer that broke off with err, where its protocol has a place
// to say why: the caller reads a status. Other answers are cut.
func (b *answerBody) breakOff(p []byte, n int, err error) (int, error) {
	x := b.x
	r := x.failure(err)
	x.record.Reason = string(r.reason)
	switch {
	case x.resolved.Protocol == operation.GRPC:
		if b.res.Trailer == nil {
			b.res.Trailer = make(http.Header, 2)
		}
		b.res.Trailer.Set("Grpc-Status", strconv.Itoa(int(wireOf(r.reason).code)))
		b.res.Trailer.Set("Grpc-Message", percentEncode(told(r, x.record.ID)))
		return n, io.EOF
	case n == 0 && b.frames.between():
		if b.last = lastFrame(x.resolved.Protocol, r, x.record.ID); b.last != nil {
			return b.readLast(p)
		}
	}
	return n, err
}

// readLast gives out the last frame.
func (b *answerBody) readLast(p []byte) (int, error) {
	n := copy(p, b.last)
	if b.last = b.last[n:]; len(b.last) > 0 {
		return n, nil
	}
	b.last = nil
	return n, io.EOF
}
