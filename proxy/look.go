package proxy

import (
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

// judge asks the policy, which may look into the request message.
func (x *exchange) judge() *refusal {
	defer x.judged()
	if r := x.look(); r != nil {
		return r
	}
	return x.decide()
}

// look reads the request message where a rule judges it. What was read is what
// is forwarded, byte for byte.
func (x *exchange) look() *refusal {
	decides, shadows := x.policy.Looks(x.identity.Caller, x.resolved.Operation)
	switch {
	case decides:
		return x.lookToDecide()
	case shadows:
		x.lookForShadows()
	}
	return nil
}

func (x *exchange) lookToDecide() *refusal {
	if r := x.readWhole(); r != nil {
		return r
	}
	err := x.await()
	if err == nil {
		x.message, err = x.readMessage(x.inspectBytes)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, errTooLarge) || errors.Is(err, errEncoding) || errors.Is(err, errBusy) || errors.Is(err, errTurn) {
		return x.bodyRefused(err)
	}
	x.decision = policy.Decision{Reason: policy.ReasonUnreadable, RuleIndex: -1, Detail: err.Error()}
	return x.denied()
}

// shadowBytes is how much of a body is read, and unpacked, for shadow rules alone.
const shadowBytes = 64 << 10

// lookForShadows reads a message that only shadow rules judge. They must not
// make a difference: what is too large, or cannot be read, passes as it came,
// and no shadow rule matches it.
func (x *exchange) lookForShadows() {
	if x.in.ContentLength > shadowBytes {
		return
	}
	limit := min(shadowBytes, x.inspectBytes)
	if x.in.Body != nil && x.in.Body != http.NoBody {
		body, err := x.readWholeBody(limit)
		if err != nil {
			x.putBack(body)
			if errors.Is(err, errTooLarge) || errors.Is(err, errBusy) {
				x.readUntil(time.Time{})
			}
			return
		}
		x.took(body)
	} else {
		x.isRead = true
	}
	x.message, _ = x.readMessage(limit) // nobody takes turns here
}

// took keeps a body that was read to its end.
func (x *exchange) took(body []byte) {
	x.isRead = true
	if len(body) > 0 {
		x.whole = body
	}
	x.own = x.Proxy.own() // what was known when the body began may be old
}

// readWhole reads the body before anything is decided on it.
func (x *exchange) readWhole() *refusal {
	switch {
	case x.isRead:
		return nil
	case x.in.ContentLength > x.inspectBytes:
		return x.bodyRefused(errTooLarge)
	case x.in.Body == nil || x.in.Body == http.NoBody:
		x.isRead = true
		return nil
	}
	body, err := x.readWholeBody(x.inspectBytes)
	if err != nil {
		return x.bodyRefused(err)
	}
	x.took(body)
	x.stage("body read")
	return nil
}

// readMessage is the message that ZITADEL would read out of the request. It has
// limit bytes at most, once it is unpacked.
func (x *exchange) readMessage(limit int64) (protoreflect.Message, error) {
	body, err := oneMessage(x.whole, x.bodyForm(), limit)
	if err != nil {
		return nil, err
	}
	types, err := message.Default()
	if err != nil {
		return nil, err
	}
	resolved := &x.resolved
	return types.Read(resolved.Operation.Name, message.Source{
		Body: body, JSON: resolved.JSON, REST: resolved.Protocol == operation.REST, BodyIsMessage: resolved.BodyIsMessage,
		Variables: resolved.Variables, Query: resolved.QueryPairs,
	})
}

var errNotOne = errors.New("reading body: the request of a unary RPC is exactly one message, framed and compressed as it says")

// oneMessage takes the one message of a unary request out of its framing and compression.
func oneMessage(body []byte, in bodyForm, limit int64) ([]byte, error) {
	switch in.protocol {
	case operation.GRPC, operation.GRPCWeb:
	case operation.GRPCWebText:
		plain, err := decodeQuads(body)
		if err != nil {
			return nil, err
		}
		body = plain
	default:
		return decompress(body, in.contentEncoding, in.protocol == operation.Connect, limit, in.memory)
	}
	if len(body) < 5 || body[0] > 1 || uint64(binary.BigEndian.Uint32(body[1:5])) != uint64(len(body)-5) {
		return nil, errNotOne
	}
	if body[0] == 0 {
		return body[5:], nil
	}
	if in.messageEncoding == "" || in.messageEncoding == "identity" {
		return nil, errNotOne
	}
	return decompress(body[5:], in.messageEncoding, true, limit, in.memory)
}
