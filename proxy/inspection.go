package proxy

import (
	"errors"
	"io"
	"net/http"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// inspect bounds the body, and looks into it where it can name a user or
// changes anything.
func (x *exchange) inspect() *refusal {
	switch {
	case x.in.ContentLength > x.bodyBytes:
		return tooLarge("limits.body_bytes", x.bodyBytes)
	case x.in.ContentLength == 0 || x.in.Body == nil || x.in.Body == http.NoBody:
		return nil
	case x.isRead && len(x.whole) == 0:
		return nil
	}
	op, protocol := x.resolved.Operation, x.resolved.Protocol
	guarded := looksForUsers(op) && len(x.own.IDs) > 0
	switch {
	case !guarded:
		return x.stream()
	case op.Unlisted && protocol != operation.Connect:
		x.body = x.newInBody()
		x.out = &guardedBody{inBody: x.body, ids: x.own.IDs, encoding: x.messageEncoding(), limit: x.inspectBytes, memory: x}
		return nil
	}
	if r := x.readLate(); r != nil {
		return r
	}
	if err := x.search(); err != nil {
		return x.bodyRefused(err)
	}
	return nil
}

// search looks for our own users in the whole body.
func (x *exchange) search() error {
	defer x.judged()
	if err := x.await(); err != nil {
		return err
	}
	mentioned, err := bodyMentions(x.whole, x.bodyForm(), x.own.IDs, x.inspectBytes)
	if err == nil && mentioned {
		err = errOwnUser
	}
	return err
}

// readLate reads the body, unless it is read, after the first decision.
func (x *exchange) readLate() *refusal {
	if x.isRead {
		return nil
	}
	if r := x.readWhole(); r != nil {
		return r
	}
	return x.decideAgain()
}

// decideAgain asks the policy once more after a body that may have taken its
// time: rules may have ended.
func (x *exchange) decideAgain() *refusal {
	if r := x.decide(); r != nil {
		return r
	}
	return x.organization()
}

// bodyForm is the framing and compression that the request announces.
func (x *exchange) bodyForm() bodyForm {
	return bodyForm{protocol: x.resolved.Protocol, contentEncoding: x.in.Header.Get("Content-Encoding"), messageEncoding: x.messageEncoding(), memory: x}
}

// messageEncoding is the compression of single messages in a stream.
func (x *exchange) messageEncoding() string {
	if x.resolved.Protocol == operation.ConnectStream {
		return x.in.Header.Get("Connect-Content-Encoding")
	}
	return x.in.Header.Get("Grpc-Encoding")
}

// bodyRefused is the refusal of a body that was looked at.
func (x *exchange) bodyRefused(err error) *refusal {
	switch {
	case errors.Is(err, errTooLarge):
		return tooLarge("limits.inspect_body_bytes", x.inspectBytes)
	case errors.Is(err, errEncoding):
		return refuse(ReasonEncoding, "the body of "+string(x.resolved.Operation.Name)+" has to be looked into and is compressed in a way that cannot be; send it as it is, or gzip by Connect or gRPC")
	case errors.Is(err, errBusy):
		r := refuse(ReasonBusy, "too many large bodies are being looked into; try again, or raise limits.inspect_total_bytes")
		r.retryAfter = 1
		return r
	case errors.Is(err, errTurn):
		r := refuse(ReasonBusy, "other large bodies of "+x.record.Caller+" are being looked into, one after the other; send fewer at once")
		r.retryAfter = 1
		return r
	case errors.Is(err, errSlow):
		return refuse(ReasonBodyRead, "the body did not arrive within "+wholeBodyTime.String())
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(ReasonBodyRead, "the body ended before its announced end")
	case errors.Is(err, errOwnUser):
		x.decision = x.policy.Decide(x.identity.Caller, x.resolved.Operation, policy.Facts{OwnServiceUser: true})
	default:
		x.decision = policy.Decision{Reason: policy.ReasonUnreadable, Rule: x.decision.Rule}
	}
	return x.denied()
}

func tooLarge(key string, limit int64) *refusal {
	return refuse(ReasonBodyTooLarge, "the body is larger than "+byteCount(limit)+"; send less, or raise "+key)
}
