package telemetry

import "github.com/prometheus/client_golang/prometheus"

// newRotations counts keys that zproxy replaced by itself.
func newRotations() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "zproxy_key_rotations_total", Help: "Keys that were replaced, by service user and result: done, or failed attempts.",
	}, []string{"service_user", "result"})
}

// KeyRotated counts that a service user's key was replaced; err is why it was not.
func (m *Metrics) KeyRotated(serviceUser string, err error) {
	m.rotations.WithLabelValues(serviceUser, resultOf(err)).Inc()
}
