package proxy

import (
	"errors"
	"time"
)

// firstBytes is how much of a body is read before the upstream hears of the
// request.
const firstBytes = 64 << 10

// stream lets a body through that nobody has to look into.
func (x *exchange) stream() *refusal {
	if x.isRead {
		return nil
	}
	if !x.resolved.Operation.Unlisted && (x.toHTTP2() || x.in.ContentLength <= firstBytes) {
		if r := x.readFirst(); r != nil || x.isRead {
			return r
		}
	}
	x.body = x.newInBody()
	x.out = x.body
	return nil
}

// readFirst reads a body to its end, if it is a small one, which can be sent
// again with a fresh token then. Go's HTTP/2 transport
// holds half a MiB for each body that is large or of unknown length, from the
// header on: callers who announce bodies and send none would have zproxy hold
// that. ZITADEL's RPCs are unary, so that nobody misses what comes a little later.
func (x *exchange) readFirst() *refusal {
	body, err := x.readWholeBody(firstBytes)
	switch {
	case err == nil:
		x.took(body)
		return x.decideAgain()
	case errors.Is(err, errTooLarge), errors.Is(err, errBusy):
		x.putBack(body)
		x.readUntil(time.Time{})
		return nil
	}
	return x.bodyRefused(err)
}
