package proxy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// refusalBytes bounds what is read of an answer to see whether it refuses the token.
const refusalBytes = 8 << 10

// tokenRefused tells whether ZITADEL refused the token that was attached, in
// any of the shapes in which it does: HTTP 401, gRPC's status 16 in header,
// trailer or gRPC-web's trailer frame, and v1's 500 or status 2 whose text names
// it. Of an operation that this build does not know nobody can say what its "not
// authenticated" means; its answers are relayed as they are.
func (x *exchange) tokenRefused(res *http.Response) bool {
	if x.resolved.Operation.Unlisted {
		return false
	}
	switch protocol := x.resolved.Protocol; {
	case res.StatusCode == http.StatusUnauthorized:
		return true
	case protocol == operation.REST:
		return res.StatusCode == http.StatusInternalServerError && restRefusal(x.unread.peek(res, refusalBytes))
	case protocol != operation.GRPC && protocol != operation.GRPCWeb && protocol != operation.GRPCWebText:
		return false
	case res.Header.Get("Grpc-Status") != "":
		return grpcRefusal(res.Header)
	case res.StatusCode != http.StatusOK:
		return false
	case protocol == operation.GRPC:
		// ZITADEL's v2 services send an error as header and trailer without a
		// message between. All its operations are unary, so looking for the first
		// byte holds nothing up.
		return len(x.unread.peek(res, 1)) == 0 && grpcRefusal(res.Trailer)
	}
	return x.webRefusal(res)
}

// wrapped is how v1 begins the text of a refusal that it takes for a fault of
// its own. A caller's words can stand further behind only.
const wrapped = "rpc error: code = Unauthenticated desc = "

// grpcRefusal reads a gRPC status.
func grpcRefusal(h http.Header) bool {
	switch h.Get("Grpc-Status") {
	case "16":
		return true
	case "2":
		return strings.HasPrefix(h.Get("Grpc-Message"), wrapped)
	}
	return false
}

// restRefusal reads the body of a 500.
func restRefusal(body []byte) bool {
	var told struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	return json.Unmarshal(body, &told) == nil && told.Code == 2 && strings.HasPrefix(told.Message, wrapped)
}

// webRefusal looks into gRPC-web's body, which can begin with its trailer.
func (x *exchange) webRefusal(res *http.Response) bool {
	const trailer, trailerAsText = 0x80, 'g'
	first := byte(trailer)
	if x.resolved.Protocol == operation.GRPCWebText {
		first = trailerAsText
	}
	if start := x.unread.peek(res, 1); len(start) == 0 || start[0] != first {
		return false
	}
	frame := x.unread.peek(res, refusalBytes)
	if x.resolved.Protocol == operation.GRPCWebText {
		var err error
		if frame, err = decodeQuads(frame); err != nil {
			return false
		}
	}
	if len(frame) < 5 || frame[0] != trailer || uint64(binary.BigEndian.Uint32(frame[1:5])) > uint64(len(frame)-5) {
		return false
	}
	h := make(http.Header)
	for line := range bytes.SplitSeq(frame[5:5+binary.BigEndian.Uint32(frame[1:5])], []byte("\r\n")) {
		if name, value, ok := strings.Cut(string(line), ":"); ok {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return grpcRefusal(h)
}

// unreadBody gives back what was read of an answer to look at it.
type unreadBody struct {
	io.ReadCloser
	one  [1]byte // where one byte is held, which is the rule
	held []byte  // still to be given out
	err  error
}

// peek reads up to n bytes of the answer's body, fewer if it ends before, and
// leaves the answer as if nobody had.
func (b *unreadBody) peek(res *http.Response, n int) []byte {
	if res.Body != b {
		*b = unreadBody{ReadCloser: res.Body}
		b.held = b.one[:0]
		res.Body = b
	}
	if n > cap(b.held) {
		b.held = append(make([]byte, 0, n), b.held...)
	}
	for len(b.held) < n && b.err == nil {
		var m int
		m, b.err = b.ReadCloser.Read(b.held[len(b.held):n])
		b.held = b.held[:len(b.held)+m]
	}
	return b.held
}

// Read gives out what was read before, and then the rest.
func (b *unreadBody) Read(p []byte) (int, error) {
	if len(b.held) > 0 && len(p) > 0 {
		n := copy(p, b.held)
		b.held = b.held[n:]
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.ReadCloser.Read(p)
}
