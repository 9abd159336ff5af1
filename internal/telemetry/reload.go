package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reload counts readings of the configuration.
type reload struct {
	reloads *prometheus.CounterVec
	loaded  prometheus.Gauge
}

func newReload() reload {
	r := reload{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_configuration_reloads_total", Help: "Configurations that were read again, by result: done, or failed while the one before stays in use.",
		}, []string{"result"}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "zproxy_configuration_loaded_timestamp_seconds", Help: "Unix time at which the configuration in use was read.",
		}),
	}
	r.reloads.WithLabelValues(done)
	r.reloads.WithLabelValues(failed)
	return r
}

// ConfigurationReloaded counts that the configuration was read again; err is why
// it was not taken.
func (m *Metrics) ConfigurationReloaded(err error) {
	m.reload.reloads.WithLabelValues(resultOf(err)).Inc()
}

// loadedAt tells since when the configuration is in use.
func (r reload) loadedAt(t time.Time) { r.loaded.Set(seconds(t)) }
