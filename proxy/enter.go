package proxy

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"
)

// enter asks whether the upstream can be asked: the caller's deadline has not
// passed, the circuit is closed, and not too many requests wait already. There
// is no queue: what would have to wait is refused.
func (x *exchange) enter() *refusal {
	if r := x.readDeadline(); r != nil {
		return r
	}
	if x.pastDeadline() {
		return x.pastDeadlineRefusal()
	}
	u := x.zitadel
	if !u.inFlight.take(x.record.Caller, 1) {
		r := refuse(ReasonOverload, "as many requests as may be are waiting for zitadel; send fewer at once, or raise upstream.max_in_flight")
		r.retryAfter = 1
		return r
	}
	x.inFlight = true
	now := x.clock()
	// What the caller still sends takes as long as the caller wants.
	hasty := x.body != nil || x.hasDeadline && x.given-now.Sub(x.begin) < probeTime
	a := u.circuit.admit(x.resolved.Operation, x.record.Caller, hasty, now)
	x.probe = a.probe
	if a.ok {
		return nil
	}
	r := refuse(ReasonCircuit, "zitadel has not answered for a while and is being probed; try again")
	r.retryAfter = max(1, int(math.Ceil(a.wait.Seconds())))
	return r
}

// leaveUpstream gives back what enter took, whatever happened between.
func (x *exchange) leaveUpstream() {
	if x.cancel != nil {
		x.cancel()
	}
	if x.body != nil {
		x.body.ended.Store(true)
	}
	if x.inFlight {
		x.zitadel.inFlight.give(x.record.Caller, 1)
	}
	if x.probe.number != 0 {
		x.zitadel.circuit.abandoned(x.probe, x.record.Caller, x.clock())
	}
}

// ample is how much of its time a call must have left for an answer that says
// that there is no ZITADEL not to be of the caller's making.
const ample = time.Second

// learn tells the circuit how a round trip went. What callers can bring about
// by themselves tells nothing: going away, a deadline, a body that breaks off.
func (x *exchange) learn(res *http.Response, err error) {
	c, op := &x.zitadel.circuit, x.resolved.Operation
	switch now := x.clock(); {
	case err == nil && !unavailable(res):
		c.succeeded(now)
	case x.hasDeadline && (x.pastDeadline() || err == nil && x.given-now.Sub(x.begin) < ample):
		return
	case err == nil:
		c.failed(op, true, x.probe, "zitadel answered "+strconv.Itoa(res.StatusCode), now)
	case x.callerGone() || x.midway() != nil:
		return
	case unsent(err):
		c.failed(op, false, x.probe, errors.Unwrap(err).Error(), now)
	default:
		c.failed(op, false, x.probe, err.Error(), now)
	}
	x.probe = probe{}
}

// unavailable tells whether an answer says that there is no ZITADEL behind it.
func unavailable(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return res.Header.Get("Grpc-Status") == strconv.Itoa(int(codeUnavailable))
}
