package telemetry

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/zproxy/zproxy/internal/audit"
)

// requests count what outcome records say.
type requests struct {
	decided *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	own     *prometheus.HistogramVec
}

// times are bucket bounds from 0.5 ms to 12 s; ownTimes from 50 µs to 3 s.
func times() []float64    { return prometheus.ExponentialBuckets(0.0005, 2.5, 12) }
func ownTimes() []float64 { return prometheus.ExponentialBuckets(0.00005, 3, 11) }

func newRequests() requests {
	return requests{
		decided: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_requests_total", Help: "Requests, and connections refused before one, by what became of them; reason as in audit records.",
		}, []string{"listener", "caller_kind", "operation", "rule", "effect", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "zproxy_request_seconds", Help: "Time of a request from its header to its outcome record.", Buckets: times(),
		}, []string{"listener", "effect"}),
		own: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "zproxy_request_own_seconds", Help: "Time of a request but for waiting for ZITADEL's answer to begin: zproxy's own, and that of bodies on their way.", Buckets: ownTimes(),
		}, []string{"listener"}),
	}
}

// upstream counts what ZITADEL was asked.
type upstream struct {
	answers *prometheus.CounterVec
	again   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newUpstream() upstream {
	return upstream{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_upstream_requests_total", Help: "Requests that were sent to ZITADEL, by service user and class of the HTTP status; none is no answer.",
		}, []string{"service_user", "status"}),
		again: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_upstream_retries_total", Help: "Requests that were sent to ZITADEL once more, by service user.",
		}, []string{"service_user"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "zproxy_upstream_seconds", Help: "Time until ZITADEL's answer began, or failed to.", Buckets: times(),
		}, []string{"listener"}),
	}
}

// Observe takes an outcome record; it does not keep it.
func (m *Metrics) Observe(r *audit.Record) {
	m.requests.decided.WithLabelValues(r.Listener, kindOf(r.Caller), m.operations.Load().label(r.Operation), r.Rule, r.Effect, r.Reason).Inc()
	if r.Status == 0 && r.Method == "" {
		return // a connection that ended before a request
	}
	m.requests.seconds.WithLabelValues(r.Listener, r.Effect).Observe(r.Duration.Seconds())
	m.requests.own.WithLabelValues(r.Listener).Observe(max(0, r.Duration-r.Upstream).Seconds())
	if r.Attempts == 0 {
		return
	}
	m.upstream.seconds.WithLabelValues(r.Listener).Observe(r.Upstream.Seconds())
	m.upstream.answers.WithLabelValues(r.ServiceUser, class(r.UpstreamStatus)).Inc()
	if r.Attempts > 1 {
		m.upstream.again.WithLabelValues(r.ServiceUser).Add(float64(r.Attempts - 1))
	}
}

// kindOf is the kind of a caller, which its name begins with: never more of it.
func kindOf(caller string) string {
	kind, _, ok := strings.Cut(caller, ":")
	if !ok {
		return "none"
	}
	return kind
}

func class(status int) string {
	switch {
	case status >= 500:
		return "5xx"
	case status >= 400:
		return "4xx"
	case status >= 300:
		return "3xx"
	case status >= 200:
		return "2xx"
	}
	return "none"
}

// seconds is t as Unix time.
func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
