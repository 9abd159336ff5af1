package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
)

// metrics count what the audit records say. Labels are bounded: listeners,
// reasons and rules come from the configuration and this program.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	reloads  *prometheus.CounterVec
	crowded  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_requests_total", Help: "Requests by listener, effect, reason and rule.",
		}, []string{"listener", "effect", "reason", "rule"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "zproxy_request_seconds", Help: "Time of a request from its header to its outcome record.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
		}, []string{"listener", "effect"}),
	}
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "zproxy_reloads_total", Help: "Certificate files that were read again, by listener and whether they were taken.",
	}, []string{"listener", "result"})
	m.crowded = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "zproxy_connections_refused_total", Help: "Connections closed at once because too many were open, by listener.",
	}, []string{"listener"})
	m.registry.MustRegister(m.requests, m.seconds, m.reloads, m.crowded, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return m
}

func (m *metrics) observe(r *audit.Record) {
	m.requests.WithLabelValues(r.Listener, r.Effect, r.Reason, r.Rule).Inc()
	m.seconds.WithLabelValues(r.Listener, r.Effect).Observe(r.Duration.Seconds())
}

// expires exposes when a listener's certificate, and its first CRL, end.
func (m *metrics) expires(listener string, s *secured) {
	gauge := func(name, help string, when func() time.Time) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name, Help: help, ConstLabels: prometheus.Labels{"listener": listener},
		}, func() float64 {
			if t := when(); !t.IsZero() {
				return float64(t.Unix())
			}
			return 0
		}))
	}
	gauge("zproxy_certificate_expiry_seconds", "Unix time at which the listener's certificate ends; 0 without one.", s.notAfter)
	if s.verifier != nil {
		gauge("zproxy_crl_expiry_seconds", "Unix time at which the first of the listener's CRLs ends; 0 without one.", func() time.Time {
			end, _ := s.verifier.NextUpdate()
			return end
		})
	}
}

// watch exposes when each service user's token ends.
func (m *metrics) watch(sources map[string]*serviceuser.Source) {
	for name, s := range sources {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "zproxy_token_expiry_seconds", Help: "Unix time at which the held access token ends; 0 without one or without an end.",
			ConstLabels: prometheus.Labels{"service_user": name},
		}, func() float64 {
			if e := s.Status().Expiry; !e.IsZero() {
				return float64(e.Unix())
			}
			return 0
		}))
	}
}
