package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/zproxy/zproxy/policy/operation"
)

// forwardUpstream hands the request to httputil.ReverseProxy. Nothing in here decides.
func (x *exchange) forwardUpstream() {
	ctx := x.in.Context()
	if x.lasts() {
		var end func()
		ctx, end = x.streams.begin(x)
		defer end()
	} else {
		x.message = nil // judged, and larger than the body that it was read from
	}
	x.reverse.Rewrite = rewrite
	x.reverse.Transport = x
	x.reverse.ErrorHandler = failed
	x.reverse.BufferPool = &buffers
	x.reverse.ErrorLog = x.reverseLog
	// FlushInterval stays 0: ReverseProxy flushes streams by itself, and -1
	// would send the header of a trailers-only answer before its trailers.
	if x.body != nil && x.in.ProtoMajor == 1 {
		// Otherwise net/http reads the rest of the body before it sends the first
		// byte of the answer. An error means that it was never otherwise.
		_ = http.NewResponseController(x.w.ResponseWriter).EnableFullDuplex()
		x.duplex = true
	}
	x.reverse.ServeHTTP(&x.w, x.newOut(x.outContext(ctx)))
}

// rewrite has nothing to do: out was built from the decision before
// ReverseProxy saw it. It must be there, because without it ReverseProxy
// insists on a Director, after which `Connection: authorization` would remove
// the credential (golang/go#50580).
func rewrite(*httputil.ProxyRequest) {}

// newOut builds the request to ZITADEL: path and query from the matched
// operation, header from the allowlist, no trailers.
func (x *exchange) newOut(ctx context.Context) *http.Request {
	out := x.in.WithContext(ctx)
	out.Host = x.zitadel.host
	out.URL = &url.URL{
		Scheme: x.zitadel.scheme, Host: x.zitadel.address,
		Path: x.resolved.Path, RawQuery: x.resolved.Query,
	}
	if strings.IndexByte(x.resolved.Path, '%') >= 0 {
		if path, err := url.PathUnescape(x.resolved.Path); err == nil {
			out.URL.Path, out.URL.RawPath = path, x.resolved.Path
		}
	}
	out.Header = outHeader(x.in.Header, x.resolved.Protocol, x.forward)
	out.Trailer, out.TransferEncoding, out.Form, out.PostForm, out.MultipartForm = nil, nil, nil, nil, nil
	out.RequestURI, out.RemoteAddr, out.TLS, out.Close = "", "", nil, false
	switch {
	case x.body != nil:
		out.Body = io.NopCloser(x.out) // send gives it out
	case x.whole != nil:
		out.Body, out.ContentLength = nil, int64(len(x.whole)) // RoundTrip gives it out
	default:
		out.Body, out.ContentLength = nil, 0
	}
	return out
}

// RoundTrip attaches what the caller has no say in, last of all, and sends out.
// A refusal of the service user's token discards it and tries once more with a
// fresh one, if the body can be sent again.
func (x *exchange) RoundTrip(out *http.Request) (*http.Response, error) {
	begin := x.clock()
	res, err := x.send(out)
	if err == nil && x.user != nil && x.tokenRefused(res) {
		res, err = x.sendAgain(out, res)
	}
	x.record.Upstream = x.clock().Sub(begin)
	if err != nil {
		return nil, err
	}
	x.record.UpstreamStatus = res.StatusCode
	x.record.UpstreamRequestID = res.Header.Get("X-Request-Id")
	if err := x.relay(res); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}

func (x *exchange) send(out *http.Request) (*http.Response, error) {
	out.Header["Authorization"] = x.auth
	if x.org != nil {
		out.Header["X-Zitadel-Orgid"] = x.org
	}
	x.record.Attempts++
	if x.whole != nil || x.body == nil && x.toHTTP2() {
		// Even an empty one: with none net/http would take the liberty to send a
		// call over HTTP/2 again.
		out.Body = x.replay()
	}
	if x.body != nil {
		x.sendBody(out)
		defer func() { x.sent.unbind() }() // of the last attempt
	}
	res, err := x.traced(out)
	x.learn(res, err)
	return res, err
}

// rewind gives out its body from the beginning, if that is possible.
func (x *exchange) rewind(out *http.Request) bool {
	switch {
	case x.body == nil:
		if out.Body != nil {
			out.Body = x.replay()
		}
	case x.body.read.Load() == 0 && !x.body.stopped.Load():
		x.sendBody(out)
	default:
		return false
	}
	return true
}

// toHTTP2 tells which transport carries the request: gRPC needs HTTP/2, and so
// does what may stream both ways.
func (x *exchange) toHTTP2() bool {
	return x.resolved.Protocol == operation.GRPC || x.resolved.Operation.Unlisted && x.in.ProtoMajor == 2
}

// buffers lends ReverseProxy its copy buffers; a third of the garbage of a
// proxied request would be made of them.
var buffers bufferPool

type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b[:]
	}
	return make([]byte, bufferSize)
}

func (p *bufferPool) Put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }
