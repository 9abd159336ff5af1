package audit

import "time"

// The fields of a line, in the order in which they are written. The list is
// closed: a line never has another, and [Reader] refuses a line that does.
//
//	time                 RFC 3339, UTC, microseconds; always there
//	seq                  1, 2, 3, … within one process; always there. A gap is a record that could not be written
//	id                   request id; always there
//	kind                 intent or outcome; always there
//	listener             name of the listener
//	caller               "spiffe://…", "dns:…", "unix:…" or "anonymous:…"
//	thumbprint           RFC 8705 x5t#S256 of the caller's certificate
//	peer                 other end of the connection
//	protocol             in which the caller spoke
//	method               HTTP method
//	path                 as received, without the query
//	operation            ZITADEL's, by its full name
//	organization         ZITADEL organization that the request was pinned to
//	effect               allow or deny
//	reason               code of the decision or refusal
//	rule                 that decided
//	shadow               shadow rule that would have decided
//	service_user         whose access token was attached
//	status               HTTP status answered to the caller
//	upstream_status      HTTP status of ZITADEL
//	grpc_status          number, as a string
//	attempts             round trips to ZITADEL
//	bytes_in, bytes_out  of bodies
//	duration_ms          from begin to end of the request, to the microsecond
//	upstream_ms          of it, waiting for ZITADEL
//	trace_id             of the caller's traceparent, or of the request's span
//	upstream_request_id  ZITADEL's
const (
	FieldTime              = "time"
	FieldSeq               = "seq"
	FieldID                = "id"
	FieldKind              = "kind"
	FieldListener          = "listener"
	FieldCaller            = "caller"
	FieldThumbprint        = "thumbprint"
	FieldPeer              = "peer"
	FieldProtocol          = "protocol"
	FieldMethod            = "method"
	FieldPath              = "path"
	FieldOperation         = "operation"
	FieldOrganization      = "organization"
	FieldEffect            = "effect"
	FieldReason            = "reason"
	FieldRule              = "rule"
	FieldShadow            = "shadow"
	FieldServiceUser       = "service_user"
	FieldStatus            = "status"
	FieldUpstreamStatus    = "upstream_status"
	FieldGRPCStatus        = "grpc_status"
	FieldAttempts          = "attempts"
	FieldBytesIn           = "bytes_in"
	FieldBytesOut          = "bytes_out"
	FieldDuration          = "duration_ms"
	FieldUpstream          = "upstream_ms"
	FieldTraceID           = "trace_id"
	FieldUpstreamRequestID = "upstream_request_id"
)

// Fields returns all field names in the order of a line.
func Fields() []string {
	return []string{
		FieldTime, FieldSeq, FieldID, FieldKind, FieldListener, FieldCaller, FieldThumbprint, FieldPeer,
		FieldProtocol, FieldMethod, FieldPath, FieldOperation, FieldOrganization, FieldEffect, FieldReason,
		FieldRule, FieldShadow, FieldServiceUser, FieldStatus, FieldUpstreamStatus, FieldGRPCStatus,
		FieldAttempts, FieldBytesIn, FieldBytesOut, FieldDuration, FieldUpstream, FieldTraceID,
		FieldUpstreamRequestID,
	}
}

// timeLayout is RFC 3339 with six digits always, so that lines align and sort.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// The longest values, in bytes before JSON escaping. What is longer is cut and ends in "…".
const (
	MaxPath = 1024
	MaxText = 256 // every string but path
)

// milliseconds keeps microseconds and drops what the clock does not promise.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
