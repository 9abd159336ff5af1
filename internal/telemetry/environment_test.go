package telemetry_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/telemetry"
)

func TestTracesAreOffUnlessTheEnvironmentAsksForThem(t *testing.T) {
	for name, env := range map[string]variables{
		"Nothing": {}, "None": {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"Disabled": {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "OnlyAName": {"OTEL_SERVICE_NAME": "x"},
	} {
		tracing, err := telemetry.NewTracing(context.Background(), env.get, "v1", zerolog.Nop())
		if tracing != nil || err != nil {
			t.Errorf("%s: %v, %v", name, tracing, err)
		}
		check(t, tracing.Shutdown(context.Background()))
	}
}

func TestEnvironmentThatCannotBeFollowedIsRefused(t *testing.T) {
	for name, env := range map[string]variables{
		"OTEL_TRACES_EXPORTER":                  {"OTEL_TRACES_EXPORTER": "zipkin"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":           {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		"OTEL_EXPORTER_OTLP_ENDPOINT":           {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
		"OTEL_EXPORTER_OTLP_TIMEOUT":            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
		"OTEL_EXPORTER_OTLP_COMPRESSION":        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"},
		"OTEL_EXPORTER_OTLP_HEADERS cannot":     {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_HEADERS": "hunter2"},
		"OTEL_EXPORTER_OTLP_CERTIFICATE":        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"},
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/nowhere"},
		"OTEL_TRACES_SAMPLER is":                {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "jaeger_remote"},
		"OTEL_TRACES_SAMPLER_ARG":               {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
	} {
		_, err := telemetry.NewTracing(context.Background(), env.get, "v1", zerolog.Nop())
		if err == nil || !strings.Contains(err.Error(), "setting up traces: ") || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSamplingIsDecidedHere(t *testing.T) {
	c := newCollector(t)
	tracing, err := telemetry.NewTracing(context.Background(), variables{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}.get, "v1", zerolog.Nop())
	check(t, err)
	trace := tracing.Begin(request(t, "00-"+callerTrace+"-"+callerSpan+"-01"))
	if trace.ID() != callerTrace {
		t.Error(trace.ID())
	}
	trace.End(&audit.Record{})
	check(t, tracing.Shutdown(context.Background()))
	if len(c.headers) != 0 {
		t.Error("a caller made us send a span")
	}
}

func request(t *testing.T, parent string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", "/", nil)
	check(t, err)
	r.Header.Set("Traceparent", parent)
	return r
}

func TestSpansAreSentAgainWhenTheCollectorIsBusyAndTheirLossIsToldOtherwise(t *testing.T) {
	c := newCollector(t)
	c.answers = []int{http.StatusServiceUnavailable}
	var said bytes.Buffer
	tracing, err := telemetry.NewTracing(context.Background(), variables{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}.get, "v1", zerolog.Nop())
	check(t, err)
	tracing.Begin(request(t, "")).End(&audit.Record{})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	check(t, tracing.Shutdown(ctx))
	if len(c.spans) != 1 || len(c.headers) != 2 {
		t.Errorf("%d spans after %d tries", len(c.spans), len(c.headers))
	}
	c.answers = []int{http.StatusForbidden}
	tracing, err = telemetry.NewTracing(ctx, variables{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}.get, "v1", zerolog.New(zerolog.SyncWriter(&said)))
	check(t, err)
	tracing.Begin(request(t, "")).End(&audit.Record{})
	check(t, tracing.Shutdown(ctx))
	if !strings.Contains(said.String(), "403") || !strings.Contains(said.String(), `"spans":1`) || len(c.spans) != 1 {
		t.Errorf("the log says %s", said.String())
	}
}

// A collector that takes connections and never answers costs requests nothing:
// spans wait in a bounded queue, what does not fit is lost, and the end does not wait.
func TestACollectorThatHangsHoldsNothingUp(t *testing.T) {
	end := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer hung.Close()
	defer close(end)
	tracing, err := telemetry.NewTracing(t.Context(), variables{"OTEL_EXPORTER_OTLP_ENDPOINT": hung.URL}.get, "v1", zerolog.Nop())
	check(t, err)
	spans := func(n int) {
		for range n {
			tracing.Begin(request(t, "")).End(&audit.Record{})
		}
	}
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	spans(4096) // more than the queue takes
	before, began := held(), time.Now()
	spans(20_000)
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("20,000 spans took %v", d)
	}
	if after := held(); after > before+8<<20 {
		t.Errorf("%d KiB are held, before that %d", after>>10, before>>10)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began = time.Now()
	if err := tracing.Shutdown(ctx); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("the end came after %v with %v", time.Since(began), err)
	}
}
