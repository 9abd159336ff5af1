package telemetry

import "github.com/prometheus/client_golang/prometheus"

// listeners count what happens at listeners beside requests.
type listeners struct {
	reloads *prometheus.CounterVec
	refused *prometheus.CounterVec
}

func newListeners() listeners {
	l := listeners{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_certificate_reloads_total", Help: "Certificate files that were read again, by listener (none for upstream.tls) and result: done or failed.",
		}, []string{"listener", "result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_connections_refused_total", Help: "Connections closed at once because too many were open, by listener.",
		}, []string{"listener"}),
	}
	l.beginReloads("")
	return l
}

func (l listeners) begin(name string) {
	l.refused.WithLabelValues(name)
	l.beginReloads(name)
}

// beginReloads lets the first failure be an increase, for which there is an alert.
func (l listeners) beginReloads(name string) {
	l.reloads.WithLabelValues(name, done)
	l.reloads.WithLabelValues(name, failed)
}

// CertificatesReloaded counts that the files of a listener, or of upstream.tls
// if it is "", were read again; err is why they were not taken.
func (m *Metrics) CertificatesReloaded(listener string, err error) {
	m.listeners.reloads.WithLabelValues(listener, resultOf(err)).Inc()
}

// Crowded counts a connection that was one too many.
func (m *Metrics) Crowded(listener string) { m.listeners.refused.WithLabelValues(listener).Inc() }

func resultOf(err error) string {
	if err != nil {
		return failed
	}
	return done
}
