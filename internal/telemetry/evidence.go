package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/zproxy/zproxy/internal/audit"
)

// evidence counts audit records.
type evidence struct {
	records  *prometheus.CounterVec
	failures prometheus.Counter
	seconds  prometheus.Histogram
}

func newEvidence() evidence {
	e := evidence{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_audit_records_total", Help: "Audit records written, by kind: intent or outcome.",
		}, []string{"kind"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "zproxy_audit_failures_total", Help: "Audit records that could not be written.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "zproxy_audit_write_seconds", Help: "Time to write an audit record, which its request waits for.", Buckets: prometheus.ExponentialBuckets(0.000002, 5, 10),
		}),
	}
	e.records.WithLabelValues(string(audit.Intent))
	e.records.WithLabelValues(string(audit.Outcome))
	return e
}

// Recorder writes audit records; see [audit.Log].
type Recorder interface {
	Write(*audit.Record) error
	Healthy() bool
}

// Count returns r, with its records counted and timed.
func (m *Metrics) Count(r Recorder) Recorder { return counted{r, &m.evidence} }

type counted struct {
	Recorder
	evidence *evidence
}

// Write implements [Recorder].
func (c counted) Write(r *audit.Record) error {
	begin := time.Now()
	err := c.Recorder.Write(r)
	if err != nil {
		c.evidence.failures.Inc()
		return err
	}
	c.evidence.seconds.Observe(time.Since(begin).Seconds())
	c.evidence.records.WithLabelValues(string(r.Kind)).Inc()
	return nil
}
