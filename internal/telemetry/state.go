package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is how things are at the moment at which metrics are asked for. What is
// not there has no series: an end that is not known is no end in 1970.
type State struct {
	// Ready is whether requests can be served, as /readyz says.
	Ready bool
	// AuditHealthy is whether the last audit record could be written.
	AuditHealthy bool
	// InFlight is how many requests wait for ZITADEL.
	InFlight int
	// CircuitOpen is whether requests are refused because ZITADEL answers none.
	CircuitOpen  bool
	ServiceUsers []ServiceUser
	Listeners    []Listener
	Issuers      []Issuer
}

// ServiceUser is how one service user is.
type ServiceUser struct {
	Name string
	// Ready is whether it holds a token that is good.
	Ready bool
	// TokenExpiry and CredentialExpiry are when its token and its key or secret
	// end; zero where that is not known.
	TokenExpiry, CredentialExpiry time.Time
}

// Listener is how one listener is.
type Listener struct {
	Name string
	// CertificateExpiry is when its certificate ends, and CRLExpiry when the first
	// of its CRLs does; zero without one.
	CertificateExpiry, CRLExpiry time.Time
}

// Issuer is how the keys of one issuer of tokens are.
type Issuer struct {
	Listener, Name string
	// Ready is whether its tokens can be verified; Keys counts those that can be
	// used, and Fetched is when they were last confirmed, zero for never.
	Ready   bool
	Keys    int
	Fetched time.Time
}

// Show has state asked whenever metrics are.
func (m *Metrics) Show(state func() State) { m.state.Store(&state) }

// stateCollector turns the state into gauges.
type stateCollector struct{ m *Metrics }

// gauges are those of [State].
type gauges struct{ ready, audit, inFlight, circuit, user, token, credential, certificate, crl, issuer, keys, fetched *prometheus.Desc }

func newGauges() gauges {
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return gauges{
		ready:       gauge("zproxy_ready", "1 while requests can be served, as /readyz says, else 0."),
		audit:       gauge("zproxy_audit_healthy", "1 while audit records can be written, else 0: requests are refused then."),
		inFlight:    gauge("zproxy_upstream_in_flight", "Requests that wait for ZITADEL, or whose answers it is sending."),
		circuit:     gauge("zproxy_upstream_circuit_open", "1 while requests are refused because ZITADEL answers none, else 0."),
		user:        gauge("zproxy_service_user_ready", "1 while the service user holds a good token, else 0.", "service_user"),
		token:       gauge("zproxy_token_expiry_timestamp_seconds", "Unix time at which the held access token ends.", "service_user"),
		credential:  gauge("zproxy_credential_expiry_timestamp_seconds", "Unix time at which the service user's key, secret or token ends, where that is known.", "service_user"),
		certificate: gauge("zproxy_certificate_expiry_timestamp_seconds", "Unix time at which the listener's certificate ends, the first of several.", "listener"),
		crl:         gauge("zproxy_crl_expiry_timestamp_seconds", "Unix time at which the first of the listener's CRLs ends.", "listener"),
		issuer:      gauge("zproxy_issuer_ready", "1 while the issuer's tokens can be verified, else 0.", "listener", "issuer"),
		keys:        gauge("zproxy_issuer_keys", "Keys of the issuer that tokens can be verified with.", "listener", "issuer"),
		fetched:     gauge("zproxy_issuer_keys_fetched_timestamp_seconds", "Unix time at which the issuer's keys were last confirmed.", "listener", "issuer"),
	}
}

// Describe implements [prometheus.Collector].
func (stateCollector) Describe(to chan<- *prometheus.Desc) {
	g := newGauges()
	for _, d := range []*prometheus.Desc{g.ready, g.audit, g.inFlight, g.circuit, g.user, g.token, g.credential, g.certificate, g.crl, g.issuer, g.keys, g.fetched} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c stateCollector) Collect(to chan<- prometheus.Metric) {
	g := newGauges()
	state := (*c.m.state.Load())()
	tell := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	end := func(d *prometheus.Desc, at time.Time, labels ...string) {
		if !at.IsZero() {
			tell(d, seconds(at), labels...)
		}
	}
	tell(g.ready, truth(state.Ready))
	tell(g.audit, truth(state.AuditHealthy))
	tell(g.inFlight, float64(state.InFlight))
	tell(g.circuit, truth(state.CircuitOpen))
	for _, u := range state.ServiceUsers {
		tell(g.user, truth(u.Ready), u.Name)
		end(g.token, u.TokenExpiry, u.Name)
		end(g.credential, u.CredentialExpiry, u.Name)
	}
	for _, l := range state.Listeners {
		end(g.certificate, l.CertificateExpiry, l.Name)
		end(g.crl, l.CRLExpiry, l.Name)
	}
	for _, i := range state.Issuers {
		tell(g.issuer, truth(i.Ready), i.Listener, i.Name)
		tell(g.keys, float64(i.Keys), i.Listener, i.Name)
		end(g.fetched, i.Fetched, i.Listener, i.Name)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
