// Package audit writes and reads audit records: what callers asked for, what
// was decided, and what came of it. A record that cannot be written is an
// error, and the error decides the request.
//
// A record is one JSON line, written by one write(2) before Write returns. The
// names of its fields are a closed list, see [FieldTime] and what follows.
package audit

import "time"

// Kind tells when a record was written.
type Kind string

// The kinds of records.
const (
	Intent  Kind = "intent"  // before an operation that changes state is forwarded
	Outcome Kind = "outcome" // at the end of every request, refused ones included
)

// Record is one line of the audit log. Fields hold names, ids and numbers,
// never bodies, query values or credentials. Zero values are left out.
type Record struct {
	Kind         Kind
	Seq          uint64 // given by [Log.Write], which ignores what is here; set by [Reader.Read]
	ID           string // request id, the same in intent, outcome and the Zproxy-Request-Id header
	Time         time.Time
	Listener     string
	Caller       string
	Thumbprint   string
	Peer         string
	Protocol     string
	Method       string
	Path         string // as received, without the query; cut at MaxPath bytes
	Operation    string
	Organization string
	Effect       string // allow or deny
	Reason       string
	Rule         string
	Shadow       string
	ServiceUser  string

	// Known at the end only.
	Status            int // as answered to the caller; 0 when the caller went away first
	UpstreamStatus    int
	GRPCStatus        string // the number as text, "" where the protocol has none
	Attempts          int    // round trips to ZITADEL
	BytesIn, BytesOut int64
	Duration          time.Duration // from the request's first header byte read to the end
	Upstream          time.Duration // waiting for ZITADEL's response header
	TraceID           string
	UpstreamRequestID string
}
