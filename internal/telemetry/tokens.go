package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// tokens count what happens to service users' tokens.
type tokens struct {
	fetches   *prometheus.CounterVec
	discarded *prometheus.CounterVec
	obtained  *prometheus.GaugeVec
	changes   *prometheus.CounterVec
}

// results of an attempt at something.
const (
	done   = "done"
	failed = "failed"
)

func newTokens() tokens {
	return tokens{
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_token_fetches_total", Help: "Access tokens fetched, by service user and result: done or failed.",
		}, []string{"service_user", "result"}),
		discarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_tokens_discarded_total", Help: "Access tokens that ZITADEL refused before their end, by service user.",
		}, []string{"service_user"}),
		obtained: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zproxy_token_obtained_timestamp_seconds", Help: "Unix time at which the last access token was obtained, by service user.",
		}, []string{"service_user"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zproxy_credential_changes_total", Help: "Credential files that were replaced, by service user and result: done or failed.",
		}, []string{"service_user", "result"}),
	}
}

func (t tokens) begin(user string) {
	t.discarded.WithLabelValues(user)
	for _, result := range []string{done, failed} {
		t.fetches.WithLabelValues(user, result)
		t.changes.WithLabelValues(user, result)
	}
}

// Token takes what happened to a service user's token or credential.
func (m *Metrics) Token(e serviceuser.Event) {
	switch e.Kind {
	case serviceuser.TokenObtained:
		m.tokens.fetches.WithLabelValues(e.ServiceUser, done).Inc()
		m.tokens.obtained.WithLabelValues(e.ServiceUser).Set(seconds(e.Time))
	case serviceuser.FetchFailed:
		m.tokens.fetches.WithLabelValues(e.ServiceUser, failed).Inc()
	case serviceuser.TokenDiscarded:
		m.tokens.discarded.WithLabelValues(e.ServiceUser).Inc()
	case serviceuser.CredentialChanged:
		m.tokens.changes.WithLabelValues(e.ServiceUser, done).Inc()
	case serviceuser.CredentialRefused:
		m.tokens.changes.WithLabelValues(e.ServiceUser, failed).Inc()
	}
}
