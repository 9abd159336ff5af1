package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlp sends spans by OTLP/HTTP with protobuf bodies
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp). It implements
// otlptrace.Client; OpenTelemetry's own would link all of gRPC: see docs/adr.
type otlp struct {
	endpoint *url.URL
	header   http.Header
	gzip     bool
	timeout  time.Duration // of one upload, its retries included
	client   *http.Client
}

// Start implements otlptrace.Client: connections are opened when needed.
func (o *otlp) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (o *otlp) Stop(context.Context) error {
	o.client.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client.
func (o *otlp) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	// On the wire this is an ExportTraceServiceRequest: both are field 1.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	if o.gzip {
		if body, err = zipped(body); err != nil {
			return fmt.Errorf("compressing spans: %w", err)
		}
	}
	for pause := time.Second; ; pause *= 2 {
		wait, err := o.post(ctx, body)
		if err == nil || wait < 0 {
			return err
		}
		select {
		case <-time.After(max(wait, pause)):
		case <-ctx.Done():
			return err
		}
	}
}

// post sends body once. A wait of 0 or more says that trying again is worth it, and when.
func (o *otlp) post(ctx context.Context, body []byte) (wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return -1, fmt.Errorf("sending spans: %w", err)
	}
	r.Header = o.header.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", "zproxy")
	if o.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	res, err := o.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("sending spans: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // lets the connection be used again
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return -1, nil
	}
	err = fmt.Errorf("sending spans: the collector at %s answered %s", o.endpoint.Host, res.Status)
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		after, _ := strconv.Atoi(res.Header.Get("Retry-After")) // a date, or nothing, is no wait
		return time.Duration(max(0, after)) * time.Second, err
	}
	return -1, err
}

func zipped(body []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}
