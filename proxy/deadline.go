package proxy

import (
	"context"
	"math"
	"strconv"
	"time"
)

// readDeadline takes down how long the caller gives the call, from the moment
// its header was read; what is longer than the upstream's longest is cut to that.
// Of two times the shorter one counts, since ZITADEL may go by either. One that
// cannot be read is refused: ZITADEL may read it, and end the call by it.
func (x *exchange) readDeadline() *refusal {
	x.given = x.zitadel.longest
	for _, h := range [...]struct {
		name string
		read func(string) (time.Duration, bool)
	}{{"Grpc-Timeout", grpcTimeout}, {"Connect-Timeout-Ms", connectTimeout}} {
		v, there := x.in.Header[h.name]
		if !there {
			continue
		}
		given, ok := h.read(v[0])
		if !ok {
			return refuse(ReasonMalformed, h.name+" is no time; send digits and their unit as its protocol has them, or nothing")
		}
		x.given, x.hasDeadline = min(given, x.given), true
	}
	return nil
}

// pastDeadline tells whether the time that the caller gave the call is over:
// then the end of the stream is what the caller asked for.
func (x *exchange) pastDeadline() bool {
	return x.hasDeadline && x.clock().Sub(x.begin) >= x.given
}

// pastDeadlineRefusal is the answer then.
func (x *exchange) pastDeadlineRefusal() *refusal {
	return refuse(ReasonDeadline, "the "+x.given.String()+" that the caller gives the call are over")
}

// outContext is the context of out: ctx, until the deadline that the caller gave.
func (x *exchange) outContext(ctx context.Context) context.Context {
	if x.hasDeadline {
		ctx, x.cancel = context.WithTimeout(ctx, x.given-x.clock().Sub(x.begin))
	}
	return ctx
}

// grpcTimeout reads gRPC's timeout: at most eight digits and a unit
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests).
func grpcTimeout(v string) (time.Duration, bool) {
	if len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(v[:len(v)-1], 10, 32)
	if err != nil {
		return 0, false
	}
	unit := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}[v[len(v)-1]]
	if unit > 0 && n > uint64(math.MaxInt64/unit) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * unit, unit > 0
}

// connectTimeout reads Connect's timeout: at most ten digits, in milliseconds
// (https://connectrpc.com/docs/protocol#unary-request).
func connectTimeout(v string) (time.Duration, bool) {
	if v == "" || len(v) > 10 {
		return 0, false
	}
	n, err := strconv.ParseUint(v, 10, 64)
	return time.Duration(n) * time.Millisecond, err == nil
}
