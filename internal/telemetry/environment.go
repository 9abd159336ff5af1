package telemetry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
)

// environment reads OpenTelemetry's variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// What it cannot do it refuses: traces that silently go nowhere help nobody.
type environment func(name string) string

// on tells whether traces are asked for.
func (env environment) on() (bool, error) {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := env("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "otlp":
		return true, nil
	case "":
		return env("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "", nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q, and traces are exported by otlp only; set otlp or none", exporter)
	}
}

// exporter is a variable of the exporter: that for traces, or that for all signals.
func (env environment) exporter(name string) string {
	if v := env("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
		return v
	}
	return env("OTEL_EXPORTER_OTLP_" + name)
}

// otlp is the exporter's client as the variables have it.
func (env environment) otlp() (*otlp, error) {
	if p := env.exporter("PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q, and traces are sent by http/protobuf only; set that, and the port of the collector's OTLP/HTTP receiver (4318)", p)
	}
	o := &otlp{header: make(http.Header), timeout: 10 * time.Second}
	var err error
	if o.endpoint, err = env.endpoint(); err != nil {
		return nil, err
	}
	if ms := env.exporter("TIMEOUT"); ms != "" {
		n, err := strconv.Atoi(ms)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT is %q; give milliseconds, such as 10000", ms)
		}
		o.timeout = time.Duration(n) * time.Millisecond
	}
	switch c := env.exporter("COMPRESSION"); c {
	case "", "none":
	case "gzip":
		o.gzip = true
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_COMPRESSION is %q; set gzip or none", c)
	}
	for pair := range strings.SplitSeq(env.exporter("HEADERS"), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil { // the pair may be a credential: it is not repeated
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS cannot be read; write name=value,name=value with values in percent-encoding")
		}
		o.header.Add(strings.TrimSpace(name), value)
	}
	trust, err := env.tls()
	if err != nil {
		return nil, err
	}
	o.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: trust, Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the headers may be a credential
	}
	return o, nil
}

// endpoint is that for traces as it is, or that for all signals with their path.
func (env environment) endpoint() (*url.URL, error) {
	text := env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if text == "" {
		if text = env("OTEL_EXPORTER_OTLP_ENDPOINT"); text == "" {
			text = "http://localhost:4318"
		}
		text = strings.TrimSuffix(text, "/") + "/v1/traces"
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT is no http:// or https:// URL; set one such as http://127.0.0.1:4318, and credentials by OTEL_EXPORTER_OTLP_HEADERS")
	}
	return u, nil
}

func (env environment) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := env.exporter("CERTIFICATE"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_CERTIFICATE %s: no PEM certificate in it; it must hold the CA of the collector", file)
		}
	}
	if file := env.exporter("CLIENT_CERTIFICATE"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, env.exporter("CLIENT_KEY"))
		if err != nil {
			return nil, fmt.Errorf("reading OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// sampler decides which requests are traced. A caller's word on that does not
// count, so that the samplers that ask the parent are the same as those that do not.
func (env environment) sampler() (trace.Sampler, error) {
	switch name := strings.TrimPrefix(env("OTEL_TRACES_SAMPLER"), "parentbased_"); name {
	case "", "always_on":
		return trace.AlwaysSample(), nil
	case "always_off":
		return trace.NeverSample(), nil
	case "traceidratio":
		ratio := 1.0
		if arg := env("OTEL_TRACES_SAMPLER_ARG"); arg != "" {
			var err error
			if ratio, err = strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
				return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q; give a number from 0 to 1", arg)
			}
		}
		return trace.TraceIDRatioBased(ratio), nil
	default:
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER is %q; set always_on, always_off or traceidratio", name)
	}
}
