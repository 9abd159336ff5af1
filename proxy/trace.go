package proxy

import (
	"net/http"

	"github.com/zproxy/zproxy/internal/audit"
)

// Tracer follows requests through zproxy and ZITADEL; see telemetry.Tracing.
type Tracer interface {
	// Begin begins the trace of a request that came in. What the request says of
	// a trace that it belongs to is a hint.
	Begin(in *http.Request) Trace
}

// Trace is that of one request. It is used by one goroutine at a time.
type Trace interface {
	// ID is the trace id in 32 hexadecimal digits.
	ID() string
	// Stage notes that a stage of the request's way is done.
	Stage(name string)
	// Send begins an attempt, the first is 1, and puts its context into out's
	// header. The function that it returns ends it when the answer has begun, or failed to.
	Send(out *http.Request, operation string, attempt int) (answered func(status int, err error))
	// End ends the trace with what the outcome record says.
	End(r *audit.Record)
}

// stage notes that a stage is done, where requests are traced.
func (x *exchange) stage(name string) {
	if x.trace != nil {
		x.trace.Stage(name)
	}
}

// traced makes one attempt, and notes it where requests are traced.
func (x *exchange) traced(out *http.Request) (*http.Response, error) {
	if x.trace == nil {
		return x.zitadel.roundTrip(out, x.toHTTP2(), x)
	}
	answered := x.trace.Send(out, x.record.Operation, x.record.Attempts)
	res, err := x.zitadel.roundTrip(out, x.toHTTP2(), x)
	if err != nil {
		answered(0, err)
		return nil, err
	}
	answered(res.StatusCode, nil)
	return res, nil
}
