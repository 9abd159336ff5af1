package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracing follows requests by OpenTelemetry. The nil Tracing is off.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	giveUp   context.CancelFunc // ends exports that are under way
}

// NewTracing reads OpenTelemetry's environment by getenv. It returns nil where
// that does not ask for traces: none are made then, and the context that callers
// send passes as it is. The version is the program's.
func NewTracing(ctx context.Context, getenv func(string) string, version string, log zerolog.Logger) (*Tracing, error) {
	t, err := newTracing(ctx, getenv, version, log)
	if err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	return t, nil
}

func newTracing(ctx context.Context, env environment, version string, log zerolog.Logger) (*Tracing, error) {
	on, err := env.on()
	if err != nil || !on {
		return nil, err
	}
	client, err := env.otlp()
	if err != nil {
		return nil, err
	}
	sampler, err := env.sampler()
	if err != nil {
		return nil, err
	}
	// The variables of the environment, OTEL_SERVICE_NAME among them, come after ours.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "zproxy"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, err
	}
	until, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	batches := sdk.WithBatcher(&reporting{SpanExporter: exporter, until: until, log: log})
	t := &Tracing{provider: sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSampler(sampler), batches), giveUp: giveUp}
	t.tracer = t.provider.Tracer("github.com/zproxy/zproxy", trace.WithInstrumentationVersion(version))
	log.Info().Str("collector", client.endpoint.Host).Msg("tracing")
	return t, nil
}

// Shutdown sends the spans that were not sent yet, until ctx ends; then it gives
// them up.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	defer t.giveUp()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last spans: %w", err)
	}
	return nil
}

// reporting tells the operator, once a minute at most, that spans are lost.
type reporting struct {
	sdk.SpanExporter
	until context.Context
	log   zerolog.Logger

	mu   sync.Mutex
	lost int
	last time.Time
}

// ExportSpans implements sdk.SpanExporter. OpenTelemetry hands errors to a
// handler of the whole process, which they never reach.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(r.until, cancel)
	defer stop()
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost += len(spans)
	if now := time.Now(); now.Sub(r.last) >= time.Minute {
		r.log.Warn().Err(err).Int("spans", r.lost).Msg("exporting traces failed; the spans are lost")
		r.lost, r.last = 0, now
	}
	return nil
}
