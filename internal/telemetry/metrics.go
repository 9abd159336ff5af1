// Package telemetry tells operators how a running gateway fares: metrics for
// Prometheus and, where the environment asks for them, traces for OpenTelemetry.
//
// Neither holds a credential, an id, a query, a body, or the name of a caller.
// How many series there are is bounded by the configuration, never by what
// callers send.
package telemetry

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are those of one gateway. Its methods may be called by any number of
// goroutines at once.
type Metrics struct {
	registry   *prometheus.Registry
	operations atomic.Pointer[operations]
	state      atomic.Pointer[func() State]

	requests  requests
	upstream  upstream
	tokens    tokens
	evidence  evidence
	listeners listeners
	reload    reload
	rotations *prometheus.CounterVec
	circuit   prometheus.Counter
}

// New returns metrics of a program of this version; see [Metrics.Configure] and
// [Metrics.Show] for what they need besides.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: newRequests(), upstream: newUpstream(), tokens: newTokens(), evidence: newEvidence(), listeners: newListeners(),
		reload: newReload(), rotations: newRotations(), circuit: newCircuit(),
	}
	m.operations.Store(newOperations(nil))
	none := func() State { return State{} }
	m.state.Store(&none)
	m.registry.MustRegister(newBuildInfo(version), stateCollector{m},
		m.requests.decided, m.requests.seconds, m.requests.own, m.upstream.answers, m.upstream.again, m.upstream.seconds,
		m.tokens.fetches, m.tokens.discarded, m.tokens.obtained, m.tokens.changes, m.evidence.records, m.evidence.failures, m.evidence.seconds,
		m.listeners.reloads, m.listeners.refused, m.reload.reloads, m.reload.loaded, m.rotations, m.circuit,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Names are what a configuration calls its parts, and the most that labels take
// their values from.
type Names struct {
	// Loaded is when the configuration was read.
	Loaded       time.Time
	Listeners    []string
	ServiceUsers []string
	// Operations are those that rules name, wildcards as they are written.
	Operations []string
}

// Configure is called with the names of each configuration before it is served.
// Counters of its parts begin at 0: Prometheus sees no first event otherwise.
func (m *Metrics) Configure(n Names) {
	m.operations.Store(newOperations(n.Operations))
	m.reload.loadedAt(n.Loaded)
	for _, name := range n.Listeners {
		m.listeners.begin(name)
	}
	for _, name := range n.ServiceUsers {
		m.tokens.begin(name)
		m.rotations.WithLabelValues(name, done)
		m.rotations.WithLabelValues(name, failed)
	}
}

// Handler serves the metrics in Prometheus's formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Gatherer reads the metrics in this process.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }
