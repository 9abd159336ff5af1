package proxy

import (
	"strconv"
	"time"
)

// pastDeadline tells whether the time that the caller gave the call is over:
// then the upstream's end of the stream is what the caller asked for.
func (x *exchange) pastDeadline() bool {
	given, ok := grpcTimeout(x.in.Header.Get("Grpc-Timeout"))
	if !ok {
		if given, ok = connectTimeout(x.in.Header.Get("Connect-Timeout-Ms")); !ok {
			return false
		}
	}
	return x.clock().Sub(x.begin) >= given
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
