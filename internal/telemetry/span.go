package telemetry

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/proxy"
)

// Begin begins the span of a request. A caller's traceparent
// (https://www.w3.org/TR/trace-context/) says whose child it is, and nothing else.
func (t *Tracing) Begin(in *http.Request) proxy.Trace {
	var w3c propagation.TraceContext
	ctx := w3c.Extract(context.Background(), propagation.HeaderCarrier(in.Header))
	s := new(span)
	s.tracing = t
	s.ctx, s.Span = t.tracer.Start(ctx, methodOf(in.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(methodOf(in.Method)), semconv.URLScheme(schemeOf(in)), semconv.NetworkProtocolVersion(strconv.Itoa(in.ProtoMajor)),
	))
	return s
}

// span is that of one request. Its attributes hold no id, path, query, body,
// credential, nor who the caller is: those are in the audit record of the same trace id.
type span struct {
	trace.Span
	tracing *Tracing
	ctx     context.Context
}

// ID implements [proxy.Trace].
func (s *span) ID() string { return s.SpanContext().TraceID().String() }

// Stage implements [proxy.Trace].
func (s *span) Stage(name string) { s.AddEvent(name) }

// Send implements [proxy.Trace].
func (s *span) Send(out *http.Request, operation string, attempt int) func(status int, err error) {
	ctx, client := s.tracing.tracer.Start(s.ctx, operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(methodOf(out.Method)), semconv.ServerAddress(out.URL.Hostname()),
		attribute.String("zproxy.operation", operation),
	))
	if port, err := strconv.Atoi(out.URL.Port()); err == nil {
		client.SetAttributes(semconv.ServerPort(port))
	}
	if attempt > 1 {
		client.SetAttributes(semconv.HTTPRequestResendCount(attempt - 1))
	}
	// Without a traceparent of theirs, a caller's tracestate belongs to no trace.
	out.Header.Del("Tracestate")
	var w3c propagation.TraceContext
	w3c.Inject(ctx, propagation.HeaderCarrier(out.Header))
	return func(status int, err error) {
		defer client.End()
		if err != nil { // its text may name what the caller sent
			client.SetAttributes(semconv.ErrorTypeOther)
			client.SetStatus(codes.Error, "")
			return
		}
		client.SetAttributes(semconv.HTTPResponseStatusCode(status))
		if status >= 400 {
			client.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
			client.SetStatus(codes.Error, "")
		}
	}
}

// End implements [proxy.Trace].
func (s *span) End(r *audit.Record) {
	if r.Operation != "" {
		s.SetName(r.Operation)
	}
	given := func(key attribute.Key, value string) {
		if value != "" {
			s.SetAttributes(key.String(value))
		}
	}
	given("zproxy.listener", r.Listener)
	given("zproxy.caller.kind", kindOf(r.Caller))
	given("zproxy.operation", r.Operation)
	given("zproxy.effect", r.Effect)
	given("zproxy.rule", r.Rule)
	given("zproxy.reason", r.Reason)
	given("zproxy.service_user", r.ServiceUser)
	if r.Status != 0 {
		s.SetAttributes(semconv.HTTPResponseStatusCode(r.Status))
	}
	if r.GRPCStatus != "" {
		if code, err := strconv.Atoi(r.GRPCStatus); err == nil { // ZITADEL may send anything
			s.SetAttributes(semconv.RPCSystemNameGRPC, semconv.RPCResponseStatusCode(strconv.Itoa(code)))
		}
	}
	if r.Status >= 500 {
		s.SetAttributes(semconv.ErrorTypeKey.String(r.Reason))
		s.SetStatus(codes.Error, "")
	}
	s.Span.End()
}

// methodOf keeps what callers invent out of spans.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return method
	}
	return "_OTHER"
}

func schemeOf(in *http.Request) string {
	if in.TLS != nil {
		return "https"
	}
	return "http"
}
