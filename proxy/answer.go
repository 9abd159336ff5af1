package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/zproxy/zproxy/policy/operation"
)

var (
	errTokenRefused = errors.New("zitadel refused the service user's token")
	errSystemToken  = errors.New("the System API takes tokens of system users only")
	errRedirect     = errors.New("zitadel answered with a redirect")
	errSwitching    = errors.New("zitadel wants to switch protocols")
)

const systemAPI = "zitadel.system.v1.SystemService/"

// freshTokenWait bounds how long a refused request waits for the next token.
const freshTokenWait = 5 * time.Second

// sendAgain replaces the token that ZITADEL refused and repeats the request
// once. What cannot be repeated exactly is not: a write is never doubled, since
// ZITADEL checks the token before it does anything.
func (x *exchange) sendAgain(out *http.Request, refused *http.Response) (*http.Response, error) {
	// Read to its end, the connection can carry the next request.
	_, _ = io.CopyN(io.Discard, refused.Body, refusalBytes)
	_ = refused.Body.Close()
	if strings.HasPrefix(string(x.resolved.Operation.Name), systemAPI) && !x.user.SystemUser() {
		// The System API takes the tokens of system users only. The token is good
		// for everything else, and other callers need it.
		return nil, errSystemToken
	}
	x.user.Discard(x.held)
	if x.body != nil {
		return nil, errTokenRefused
	}
	ctx, cancel := context.WithTimeout(out.Context(), freshTokenWait)
	defer cancel()
	fresh, err := x.user.Next(ctx, x.held)
	if err != nil {
		return nil, errTokenRefused
	}
	x.held, x.auth = fresh, fresh.Authorization
	res, err := x.send(out)
	if err == nil && x.tokenRefused(res) {
		_ = res.Body.Close()
		x.user.Discard(fresh)
		return nil, errTokenRefused
	}
	return res, err
}

// relay makes ZITADEL's answer one that callers may get.
func (x *exchange) relay(res *http.Response) error {
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols:
		return errSwitching
	case res.StatusCode >= 300 && res.StatusCode < 400 && res.StatusCode != http.StatusNotModified:
		return errRedirect
	}
	x.record.GRPCStatus = res.Header.Get("Grpc-Status")
	cleanAnswer(res.Header)
	cleanAnswer(res.Trailer)
	for name := range res.Trailer {
		// ZITADEL's v1 sends in the header what it announces for the trailer;
		// relayed, a client would read the status twice.
		delete(res.Header, name)
	}
	x.id[0] = x.record.ID
	res.Header[RequestIDHeader] = x.id[:]
	if len(res.Header["Cache-Control"]) == 0 {
		res.Header["Cache-Control"] = noStore
	}
	if x.resolved.Protocol == operation.REST && res.StatusCode == http.StatusUnauthorized {
		res.Header["Www-Authenticate"] = challenge
	}
	x.endDuplex()
	x.moveHeader(res)
	x.answered = answerBody{ReadCloser: res.Body, x: x, res: res}
	res.Body = &x.answered
	return nil
}

// moveHeader gives the caller the header itself instead of the copy that
// ReverseProxy would make of each value, and leaves it nothing to copy.
func (x *exchange) moveHeader(res *http.Response) {
	removeHopByHop(res.Header)
	to := x.w.Header()
	for name, values := range res.Header {
		to[name] = values
	}
	res.Header = nil
}

// Shared by all answers and never written to.
var (
	noStore   = []string{"no-store"}
	challenge = []string{`Bearer realm="zitadel"`}
)

// answerBody is the body of ZITADEL's answer.
type answerBody struct {
	io.ReadCloser
	x      *exchange
	res    *http.Response
	frames framing
	last   []byte // what is left of the frame that ends a stream that broke off
}

// Read ends a stream that breaks off with a status, so that its caller reads
// why. REST has no place for one here; its connection is cut.
func (b *answerBody) Read(p []byte) (int, error) {
	if b.last != nil {
		return b.readLast(p)
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
		if protocol := b.x.resolved.Protocol; protocol == operation.GRPCWeb || protocol == operation.ConnectStream {
			b.frames.note(p[:n])
		}
	case err != io.EOF && !b.x.callerGone():
		return b.breakOff(p, n, err)
	}
	return n, err
}

// Close closes the body of out first where net/http waits for that (see
// [sending]), and takes from the trailer, complete by then, what the record needs
// and callers must not get.
func (b *answerBody) Close() error {
	if b.x.sent != nil && b.x.toHTTP2() {
		_ = b.x.sent.Close()
	}
	err := b.ReadCloser.Close()
	trailer := b.res.Trailer
	if s := trailer.Get("Grpc-Status"); s != "" {
		b.x.record.GRPCStatus = s
	}
	if s := trailer.Get("X-Request-Id"); s != "" {
		b.x.record.UpstreamRequestID = s
	}
	cleanAnswer(trailer)
	return err
}

// failed answers when there is no answer of ZITADEL's to relay. As a method of
// the exchange it would cost each request an allocation.
func failed(w http.ResponseWriter, _ *http.Request, err error) {
	x := w.(*answer).of
	r := x.failure(err)
	if r.reason != ReasonCallerGone {
		x.log.Warn().Err(err).Str("id", x.record.ID).Str("operation", x.record.Operation).
			Str("reason", string(r.reason)).Msg("forwarding request failed")
	}
	x.refuse(r)
}

func (x *exchange) failure(err error) *refusal {
	if r := x.midway(); r != nil {
		return r
	}
	switch {
	case x.callerGone():
		return refuse(ReasonCallerGone, "the caller went away")
	case errors.Is(err, errTokenRefused):
		r := refuse(ReasonTokenRefused, "zitadel refused the access token of service user "+x.decision.As+
			"; ask zproxy's operator whether it is locked, removed or of another instance")
		r.retryAfter = 1
		return r
	case errors.Is(err, errSystemToken):
		return refuse(ReasonTokenRefused, err.Error()+", and service user "+x.decision.As+" is none; ask zproxy's operator to name one in rule "+x.decision.Rule)
	case errors.Is(err, errRedirect), errors.Is(err, errSwitching):
		return refuse(ReasonUpstreamAnswer, err.Error()+", which is never relayed")
	case x.pastDeadline():
		return x.pastDeadlineRefusal()
	case unsent(err):
		r := refuse(ReasonUnreachable, "zitadel cannot be reached; nothing was sent")
		r.retryAfter = 1
		return r
	case isTimeout(err):
		return refuse(ReasonUpstreamTimeout, "zitadel did not answer in time; it may have performed "+x.record.Operation)
	}
	return refuse(ReasonUpstreamBroke, "zitadel broke the connection off before its answer was whole; it may have performed "+x.record.Operation)
}

// midway is why the request was ended, or its body refused, while it was being
// forwarded; nil if it was not. ZITADEL never saw the end of the body then.
func (x *exchange) midway() *refusal {
	if r := x.cut.Load(); r != nil {
		return r
	}
	switch {
	case x.body == nil:
		return nil
	case x.body.over.Load():
		return tooLarge("limits.body_bytes", x.bodyBytes)
	case x.body.refused.Load() != nil:
		return x.bodyRefused(*x.body.refused.Load())
	case x.body.broken.Load() && !x.callerGone():
		return x.bodyRefused(io.ErrUnexpectedEOF)
	}
	return nil
}

func byteCount(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
