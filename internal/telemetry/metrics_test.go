package telemetry_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/telemetry"
)

// page is what Prometheus would read, without the comments.
func page(t *testing.T, m *telemetry.Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "zproxy_") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	if w.Code != 200 || len(lines) == 0 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return lines
}

func has(t *testing.T, lines []string, want string) {
	t.Helper()
	for _, line := range lines {
		if line == want {
			return
		}
	}
	t.Errorf("no %s in\n%s", want, strings.Join(lines, "\n"))
}

func outcome(operation, caller string) *audit.Record {
	return &audit.Record{
		Kind: audit.Outcome, Method: "POST", Listener: "local", Caller: caller, Operation: operation, Rule: "readers", ServiceUser: "reader",
		Effect: "allow", Reason: "allowed", Status: 200, UpstreamStatus: 200, Attempts: 2, Duration: 9 * time.Millisecond, Upstream: 8 * time.Millisecond,
	}
}

func TestOperationsAreLabelledAsRulesNameThem(t *testing.T) {
	m := telemetry.New("v1")
	m.Configure(telemetry.Names{Operations: []string{"a.v1.S/Get", "a.v1.S/L*", "a.v1.S/List*", "b.v1.T/*"}})
	for _, name := range []string{"a.v1.S/Get", "a.v1.S/GetMore", "a.v1.S/ListUsers", "a.v1.S/Lock", "b.v1.T/Any", "", "c.v1.U/ListUsers"} {
		m.Observe(outcome(name, "unix:crm"))
	}
	lines := page(t, m)
	for _, label := range []string{"a.v1.S/Get", "a.v1.S/List*", "a.v1.S/L*", "b.v1.T/*", "none"} {
		has(t, lines, `zproxy_requests_total{caller_kind="unix",effect="allow",listener="local",operation="`+label+`",reason="allowed",rule="readers"} 1`)
	}
	has(t, lines, `zproxy_requests_total{caller_kind="unix",effect="allow",listener="local",operation="other",reason="allowed",rule="readers"} 2`)
	m.Configure(telemetry.Names{Operations: []string{"*"}})
	m.Observe(outcome("c.v1.U/ListUsers", "unix:crm"))
	has(t, page(t, m), `zproxy_requests_total{caller_kind="unix",effect="allow",listener="local",operation="*",reason="allowed",rule="readers"} 1`)
}

func TestSeriesDoNotGrowWithCallersAndWhatTheyAskFor(t *testing.T) {
	m := telemetry.New("v1")
	m.Configure(telemetry.Names{Operations: []string{"a.v1.S/List*"}})
	m.Observe(outcome("a.v1.S/ListUsers", "spiffe://acme.internal/crm"))
	m.Observe(outcome("a.v1.S/Delete", "spiffe://acme.internal/crm"))
	before := page(t, m)
	for i := range 1000 {
		r := outcome(fmt.Sprintf("a.v1.S/List%d", i), fmt.Sprintf("spiffe://acme.internal/%d", i))
		r.Path, r.Peer, r.ID, r.Organization = fmt.Sprintf("/v2/%d", i), fmt.Sprint(i), fmt.Sprint(i), fmt.Sprint(i)
		m.Observe(r)
		m.Observe(outcome(fmt.Sprintf("a.v1.S/Delete%d", i), fmt.Sprintf("spiffe://acme.internal/%d", i)))
	}
	if after := page(t, m); len(after) != len(before) {
		t.Errorf("%d series have become %d", len(before), len(after))
	}
	if text := strings.Join(page(t, m), "\n"); strings.Contains(text, "acme.internal") {
		t.Error("a caller's name is in the metrics")
	}
}

func TestDurationsAreSplitInOwnAndUpstream(t *testing.T) {
	m := telemetry.New("v1")
	m.Observe(outcome("a.v1.S/Get", "unix:crm"))
	refused := outcome("a.v1.S/Get", "unix:crm")
	refused.Attempts, refused.Upstream, refused.UpstreamStatus = 0, 0, 0
	m.Observe(refused)
	noAnswer := outcome("a.v1.S/Get", "unix:crm")
	noAnswer.UpstreamStatus, noAnswer.Attempts = 0, 1
	m.Observe(noAnswer)
	lines := page(t, m)
	has(t, lines, `zproxy_request_seconds_count{effect="allow",listener="local"} 3`)
	has(t, lines, `zproxy_request_own_seconds_sum{listener="local"} 0.011`)
	has(t, lines, `zproxy_upstream_seconds_sum{listener="local"} 0.016`)
	has(t, lines, `zproxy_upstream_requests_total{service_user="reader",status="2xx"} 1`)
	has(t, lines, `zproxy_upstream_requests_total{service_user="reader",status="none"} 1`)
	has(t, lines, `zproxy_upstream_retries_total{service_user="reader"} 1`)
}

func TestConnectionsWithoutARequestHaveNoDuration(t *testing.T) {
	m := telemetry.New("v1")
	m.Observe(&audit.Record{Kind: audit.Outcome, Listener: "mesh", Effect: "deny", Reason: "tls_handshake"})
	lines := page(t, m)
	has(t, lines, `zproxy_requests_total{caller_kind="none",effect="deny",listener="mesh",operation="none",reason="tls_handshake",rule=""} 1`)
	if strings.Contains(strings.Join(lines, "\n"), "zproxy_request_seconds") {
		t.Error("a handshake was timed as a request")
	}
}

func TestCountersBeginAtZero(t *testing.T) {
	m := telemetry.New("v1")
	m.Configure(telemetry.Names{Loaded: time.Unix(1e9, 0), Listeners: []string{"mesh"}, ServiceUsers: []string{"reader"}})
	lines := page(t, m)
	for _, want := range []string{
		`zproxy_token_fetches_total{result="failed",service_user="reader"} 0`,
		`zproxy_tokens_discarded_total{service_user="reader"} 0`,
		`zproxy_credential_changes_total{result="failed",service_user="reader"} 0`,
		`zproxy_certificate_reloads_total{listener="mesh",result="failed"} 0`,
		`zproxy_connections_refused_total{listener="mesh"} 0`,
		`zproxy_configuration_reloads_total{result="failed"} 0`,
		`zproxy_configuration_loaded_timestamp_seconds 1e+09`,
		`zproxy_audit_failures_total 0`,
	} {
		has(t, lines, want)
	}
}

func TestEventsOfTokensAndFilesAreCounted(t *testing.T) {
	m := telemetry.New("v1")
	for _, kind := range []serviceuser.EventKind{
		serviceuser.TokenObtained, serviceuser.FetchFailed, serviceuser.TokenDiscarded, serviceuser.CredentialChanged, serviceuser.CredentialRefused,
	} {
		m.Token(serviceuser.Event{Kind: kind, ServiceUser: "reader", Time: time.Unix(1000, 0)})
	}
	m.CertificatesReloaded("mesh", nil)
	m.CertificatesReloaded("mesh", errors.New("no"))
	m.ConfigurationReloaded(nil)
	m.ConfigurationReloaded(errors.New("no"))
	m.Crowded("mesh")
	m.Circuit(true)
	m.Circuit(false)
	lines := page(t, m)
	for _, want := range []string{
		`zproxy_token_fetches_total{result="done",service_user="reader"} 1`,
		`zproxy_token_fetches_total{result="failed",service_user="reader"} 1`,
		`zproxy_tokens_discarded_total{service_user="reader"} 1`,
		`zproxy_token_obtained_timestamp_seconds{service_user="reader"} 1000`,
		`zproxy_credential_changes_total{result="done",service_user="reader"} 1`,
		`zproxy_credential_changes_total{result="failed",service_user="reader"} 1`,
		`zproxy_certificate_reloads_total{listener="mesh",result="done"} 1`,
		`zproxy_certificate_reloads_total{listener="mesh",result="failed"} 1`,
		`zproxy_configuration_reloads_total{result="done"} 1`,
		`zproxy_configuration_reloads_total{result="failed"} 1`,
		`zproxy_connections_refused_total{listener="mesh"} 1`,
		`zproxy_upstream_circuit_opened_total 1`,
	} {
		has(t, lines, want)
	}
}

// log is a Recorder.
type log struct{ err error }

func (l *log) Write(*audit.Record) error { return l.err }
func (l *log) Healthy() bool             { return l.err == nil }

func TestAuditRecordsAreCountedAndTheirErrorsPassedOn(t *testing.T) {
	m := telemetry.New("v1")
	sink := new(log)
	r := m.Count(sink)
	if err := r.Write(&audit.Record{Kind: audit.Intent}); err != nil || !r.Healthy() {
		t.Error(err)
	}
	sink.err = errors.New("disk full")
	if err := r.Write(&audit.Record{Kind: audit.Outcome}); !errors.Is(err, sink.err) || r.Healthy() {
		t.Errorf("the error of a record that was not written became %v", err)
	}
	lines := page(t, m)
	has(t, lines, `zproxy_audit_records_total{kind="intent"} 1`)
	has(t, lines, `zproxy_audit_records_total{kind="outcome"} 0`)
	has(t, lines, `zproxy_audit_failures_total 1`)
	has(t, lines, `zproxy_audit_write_seconds_count 1`)
}

func TestWhatIsNotKnownHasNoSeries(t *testing.T) {
	m := telemetry.New("v1.2.3")
	m.Show(func() telemetry.State {
		return telemetry.State{
			AuditHealthy: true, InFlight: 3, CircuitOpen: true,
			ServiceUsers: []telemetry.ServiceUser{{Name: "reader", Ready: true, TokenExpiry: time.Unix(2000, 0)}, {Name: "pat"}},
			Listeners:    []telemetry.Listener{{Name: "mesh", CertificateExpiry: time.Unix(3000, 0)}},
		}
	})
	lines := page(t, m)
	has(t, lines, `zproxy_ready 0`)
	has(t, lines, `zproxy_audit_healthy 1`)
	has(t, lines, `zproxy_upstream_in_flight 3`)
	has(t, lines, `zproxy_upstream_circuit_open 1`)
	has(t, lines, `zproxy_service_user_ready{service_user="reader"} 1`)
	has(t, lines, `zproxy_service_user_ready{service_user="pat"} 0`)
	has(t, lines, `zproxy_token_expiry_timestamp_seconds{service_user="reader"} 2000`)
	has(t, lines, `zproxy_certificate_expiry_timestamp_seconds{listener="mesh"} 3000`)
	text := strings.Join(lines, "\n")
	for _, not := range []string{`token_expiry_timestamp_seconds{service_user="pat"}`, "credential_expiry", "crl_expiry"} {
		if strings.Contains(text, not) {
			t.Errorf("%s has a value", not)
		}
	}
	if !strings.Contains(text, `version="v1.2.3"} 1`) {
		t.Error("the version is not told")
	}
}
