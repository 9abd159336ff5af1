package telemetry

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// newBuildInfo is always 1; what is known of the program is in its labels.
func newBuildInfo(version string) prometheus.Collector {
	labels := prometheus.Labels{"version": version, "revision": "", "go_version": ""}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["go_version"] = info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "zproxy_build_info", Help: "Always 1; the program's version in its labels.", ConstLabels: labels})
	g.Set(1)
	return g
}
