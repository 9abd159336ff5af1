package telemetry

import "github.com/prometheus/client_golang/prometheus"

// newCircuit counts how often the circuit to ZITADEL opened.
func newCircuit() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "zproxy_upstream_circuit_opened_total", Help: "How often requests began to be refused because ZITADEL answered none.",
	})
}

// Circuit counts that the circuit to ZITADEL has opened; that it closed shows
// in [State].
func (m *Metrics) Circuit(open bool) {
	if open {
		m.circuit.Inc()
	}
}
