package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/ownuser"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// exchange is one request from its arrival to its outcome record: it carries
// what becomes known on the way.
type exchange struct {
	*Proxy
	w     answer
	in    *http.Request
	begin time.Time

	record   audit.Record
	resolved operation.Resolved
	identity authn.Identity
	decision policy.Decision
	own      ownuser.Known // whom the request may not be aimed at

	user    ServiceUser          // nil when the caller's own token is passed
	shown   []string             // the value of Authorization in, to name the caller anew; never sent on
	auth    []string             // the value of Authorization upstream
	org     []string             // the value of x-zitadel-orgid upstream; nil for none
	whole   []byte               // the body, where it was read before forwarding
	lease   lease                // of memory, for what is looked into
	isRead  bool                 // whole is all of the body, nil if that is empty
	endTurn func()               // nil unless it is the caller's turn to have a large body judged
	message protoreflect.Message // the request message, where a rule judges it
	body    *inBody              // the body, where it streams
	out     io.Reader            // what of it goes upstream: body, or body behind a guard
	sent    *sending             // out, as it is sent now
	duplex  bool                 // over HTTP/1 the answer may begin before the body has ended

	held  *serviceuser.Token
	trace Trace // nil: the request is not traced

	cut   atomic.Pointer[refusal] // why it was ended before its end
	under *Proxy                  // by whose policy it may go on; see [streams]
	// lostAt is when it was found that its caller may go on no more; zero while it may.
	lostAt time.Time

	given       time.Duration // what the caller gives the call, from begin on
	hasDeadline bool
	cancel      context.CancelFunc // ends out; nil without a deadline
	inFlight    bool               // counted among what waits for the upstream
	probe       probe              // what the circuit waits for

	// Here and not on the heap by themselves: a request has one of each.
	reverse  httputil.ReverseProxy
	answered answerBody
	unread   unreadBody
	reader   heldReader // of whole, the first time that it is sent
	replays  int
	id       [1]string
}

// answer is what the caller gets: counted, and without informational responses
// of the upstream, whose headers nobody has looked at.
type answer struct {
	http.ResponseWriter
	of     *exchange
	status int
	bytes  int64
	taking taking
}

func (a *answer) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		return
	}
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.taking.write(a.ResponseWriter, p)
	a.bytes += int64(n)
	return n, err
}

// FlushError is for http.ResponseController.
func (a *answer) FlushError() error { return a.taking.flush(a.ResponseWriter) }

// Unwrap lets http.ResponseController reach the deadlines.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// newExchange begins a request: id, clock, and a record that says at least
// where it came in and what was asked for.
func (p *Proxy) newExchange(listener string, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{Proxy: p, in: r, begin: p.clock(), own: p.own()}
	x.w.ResponseWriter, x.w.of = w, x
	if r.ProtoMajor == 2 {
		p.takers.enter(x)
	}
	path := ""
	if strings.HasPrefix(r.RequestURI, "/") { // another form of target could carry userinfo
		path, _, _ = strings.Cut(r.RequestURI, "?")
	}
	x.record = audit.Record{
		ID: p.newID(), Time: x.begin, Listener: listener, Peer: r.RemoteAddr,
		Method: r.Method, Path: path, Effect: effectDeny, TraceID: traceID(r.Header),
	}
	if p.tracer != nil {
		x.trace = p.tracer.Begin(r)
		x.record.TraceID = x.trace.ID()
	}
	return x
}

const (
	effectAllow = "allow"
	effectDeny  = "deny"
)

// refuse answers the request ourselves.
func (x *exchange) refuse(r *refusal) {
	x.record.Reason = string(r.reason)
	if x.w.status != 0 { // the answer has begun; only the record can still tell
		return
	}
	x.endUnread()
	x.endDuplex()
	_, x.record.GRPCStatus = reply(&x.w, x.in, x.resolved.Protocol, x.record.ID, r)
}

// end writes the outcome record, whatever happened, a panic included.
func (x *exchange) end() {
	broke := recover()
	if broke != nil {
		x.brokeOff(broke)
	}
	x.leaveUpstream()
	x.endUnread()
	x.giveBack()
	x.leaveTakers(broke == nil)
	x.record.Kind = audit.Outcome
	x.record.Status = x.w.status
	x.record.BytesOut = x.w.bytes
	x.record.BytesIn = int64(len(x.whole))
	if x.body != nil {
		x.record.BytesIn = x.body.read.Load()
	}
	x.record.Duration = x.clock().Sub(x.begin)
	x.leave(&x.record)
	if x.trace != nil {
		x.trace.End(&x.record)
	}
	if broke != nil {
		panic(http.ErrAbortHandler) // net/http ends the connection, as ReverseProxy wants it
	}
}

// brokeOff says why an answer has no end: ReverseProxy's way to end a
// connection in the middle of an answer is a panic, and so is a fault of ours.
func (x *exchange) brokeOff(v any) {
	if v != http.ErrAbortHandler {
		x.log.Error().Str("id", x.record.ID).Interface("panic", v).Bytes("stack", debug.Stack()).Msg("handling request failed by a fault of zproxy's; please report it")
		x.refuse(refuse(ReasonInternal, "zproxy failed by a fault of its own; ask its operator to look at its log"))
		return
	}
	x.record.Reason = string(ReasonAborted)
	if x.w.taking.hasStalled() {
		x.record.Reason = string(ReasonStalled)
	} else if r := x.midway(); r != nil {
		x.record.Reason = string(r.reason)
	} else if x.pastDeadline() {
		x.record.Reason = string(ReasonDeadline)
	}
}

// traceID is the trace id of a W3C traceparent (https://www.w3.org/TR/trace-context/#traceparent-header), or "".
func traceID(h http.Header) string {
	v := h["Traceparent"]
	if len(v) != 1 || len(v[0]) < 55 || v[0][2] != '-' || v[0][35] != '-' {
		return ""
	}
	id := v[0][3:35]
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}

// Malformed records a request that net/http refused with status before any
// handler saw it; peer is who was on the connection.
func (p *Proxy) Malformed(listener, peer string, status int) {
	r := audit.Record{
		Kind: audit.Outcome, ID: p.newID(), Time: p.clock(), Listener: listener, Peer: peer,
		Effect: effectDeny, Reason: string(ReasonMalformed), Status: status,
	}
	p.leave(&r)
}

// TurnedAway records a connection that was refused, or ended, for what its
// caller proved: no request of it has an outcome record that could say so.
func (p *Proxy) TurnedAway(listener string, id authn.Identity, reason string) {
	r := audit.Record{
		Kind: audit.Outcome, ID: p.newID(), Time: p.clock(), Listener: listener, Peer: id.Peer,
		Caller: id.Caller.String(), Thumbprint: id.Thumbprint, Effect: effectDeny, Reason: reason,
	}
	p.leave(&r)
}

// leave writes an outcome record and shows it to who observes.
func (p *Proxy) leave(r *audit.Record) {
	if err := p.audit.Write(r); err != nil {
		p.evidenceLost(err)
	}
	if p.observe != nil {
		p.observe(r)
	}
}
