package telemetry_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/telemetry"
)

// exposed are the metrics of a gateway to which everything has happened, with
// the names of their labels. A histogram has its three series.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	m := telemetry.New("v1")
	m.Configure(telemetry.Names{Loaded: time.Now(), Listeners: []string{"mesh"}, ServiceUsers: []string{"reader"}})
	m.Observe(outcome("a.v1.S/Get", "unix:crm"))
	m.Token(serviceuser.Event{Kind: serviceuser.TokenObtained, ServiceUser: "reader", Time: time.Now()})
	check(t, m.Count(&log{}).Write(&audit.Record{Kind: audit.Outcome}))
	end := time.Now().Add(time.Hour)
	m.Show(func() telemetry.State {
		return telemetry.State{
			ServiceUsers: []telemetry.ServiceUser{{Name: "reader", TokenExpiry: end, CredentialExpiry: end}},
			Listeners:    []telemetry.Listener{{Name: "mesh", CertificateExpiry: end, CRLExpiry: end}},
			Issuers:      []telemetry.Issuer{{Listener: "pods", Name: "cluster", Ready: true, Keys: 2, Fetched: end}},
		}
	})
	families, err := m.Gatherer().Gather()
	check(t, err)
	all := make(map[string][]string)
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if f.GetMetric()[0].GetHistogram() == nil {
			all[f.GetName()] = labels
			continue
		}
		all[f.GetName()+"_sum"], all[f.GetName()+"_count"] = labels, labels
		all[f.GetName()+"_bucket"] = append(slices.Clone(labels), "le")
	}
	return all
}

// faults says what of a query no gateway exposes. The labels that Prometheus
// itself gives to a target are known too.
func faults(query string, metrics map[string][]string) error {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return err
	}
	var found []error
	say := func(text string) { found = append(found, errors.New(query+": "+text)) }
	known := []string{"instance", "job", "__name__"}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			if _, ok := metrics[s.Name]; !ok {
				say("there is no metric " + s.Name)
			}
			known = append(known, metrics[s.Name]...)
			for _, l := range s.LabelMatchers {
				if !slices.Contains(append([]string{"instance", "job", "__name__"}, metrics[s.Name]...), l.Name) {
					say(s.Name + " has no label " + l.Name)
				}
			}
		}
		return nil
	})
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok {
			for _, l := range a.Grouping {
				if !slices.Contains(known, l) {
					say("nothing has a label " + l)
				}
			}
		}
		return nil
	})
	return errors.Join(found...)
}

func TestQueriesOfUnknownMetricsAndLabelsAreNoticed(t *testing.T) {
	metrics := exposed(t)
	for _, query := range []string{"zproxy_nothing", `zproxy_ready{color="red"}`, "sum by (color) (zproxy_ready)", "zproxy_request_seconds", "("} {
		if faults(query, metrics) == nil {
			t.Errorf("%s passes", query)
		}
	}
}

func TestDashboardAsksForWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../configs/grafana-dashboard.json")
	check(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	check(t, json.Unmarshal(text, &dashboard))
	metrics, asked := exposed(t), string(text)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			query := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr)
			if err := faults(query, metrics); err != nil {
				t.Errorf("%s: %v", p.Title, err)
			}
		}
	}
	if len(dashboard.Panels) < 10 {
		t.Errorf("only %d panels", len(dashboard.Panels))
	}
	for name := range metrics {
		name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "zproxy_") && !strings.Contains(asked, name) && name != "zproxy_service_user_ready" && name != "zproxy_configuration_loaded_timestamp_seconds" {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// rules are those of configs/alerts.yaml.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("../../configs/alerts.yaml", false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	metrics := exposed(t)
	for _, r := range rules(t) {
		if err := faults(r.Expr, metrics); err != nil {
			t.Errorf("%s: %v", r.Alert, err)
		}
	}
}

// firing and quiet are, for each alert, series that it fires for after half an
// hour, and such that it does not. Written as Prometheus's own tests are.
func alertCases() map[string][2]string {
	return map[string][2]string{
		"ZproxyNotReady":                {`zproxy_ready 0x60`, `zproxy_ready 1x60`},
		"ZproxyEvidenceLost":            {`zproxy_audit_healthy 0x60`, "zproxy_audit_healthy 1x60\n  zproxy_audit_failures_total 4x60"},
		"ZproxyServiceUserWithoutToken": {`zproxy_service_user_ready{service_user="a"} 0x60`, `zproxy_service_user_ready{service_user="a"} 1x60`},
		"ZproxyTokenFetchesFail":        {`zproxy_token_fetches_total{result="failed"} 0+1x60`, `zproxy_token_fetches_total{result="done"} 0+1x60`},
		"ZproxyTokensRefused":           {`zproxy_tokens_discarded_total 0+1x60`, `zproxy_tokens_discarded_total 0+0.1x60`},
		"ZproxyCredentialExpires":       {`zproxy_credential_expiry_timestamp_seconds 1000000x60`, `zproxy_credential_expiry_timestamp_seconds 2000000x60`},
		"ZproxyKeyRotationFails":        {`zproxy_key_rotations_total{result="failed"} 0+1x60`, "zproxy_key_rotations_total{result=\"done\"} 0+1x60\n  zproxy_key_rotations_total{result=\"failed\"} 1x60"},
		"ZproxyCertificateExpires":      {`zproxy_certificate_expiry_timestamp_seconds 600000x60`, `zproxy_certificate_expiry_timestamp_seconds 700000x60`},
		"ZproxyCRLExpires":              {`zproxy_crl_expiry_timestamp_seconds 80000x60`, `zproxy_crl_expiry_timestamp_seconds 90000x60`},
		"ZproxyUpstreamFails": {"zproxy_upstream_requests_total{status=\"2xx\"} 0+90x60\n  zproxy_upstream_requests_total{status=\"5xx\"} 0+6x60\n  zproxy_upstream_requests_total{status=\"none\"} 0+6x60",
			"zproxy_upstream_requests_total{status=\"2xx\"} 0+90x60\n  zproxy_upstream_requests_total{status=\"4xx\"} 0+90x60"},
		"ZproxyCircuitOpen": {`zproxy_upstream_circuit_open 1x60`, `zproxy_upstream_circuit_open 0x60`},
		"ZproxyUpstreamSlow": {"zproxy_upstream_seconds_bucket{le=\"1\"} 0+1x60\n  zproxy_upstream_seconds_bucket{le=\"8\"} 0+9x60\n  zproxy_upstream_seconds_bucket{le=\"+Inf\"} 0+9x60",
			"zproxy_upstream_seconds_bucket{le=\"1\"} 0+9x60\n  zproxy_upstream_seconds_bucket{le=\"+Inf\"} 0+9x60"},
		"ZproxyManyDenied":              {`zproxy_requests_total{effect="deny"} 0+90x60`, `zproxy_requests_total{effect="allow"} 0+90x60`},
		"ZproxyLimitsReached":           {`zproxy_requests_total{reason="limit"} 0+9x60`, `zproxy_requests_total{reason="no_rule"} 0+9x60`},
		"ZproxyConnectionsRefused":      {`zproxy_connections_refused_total 0+1x60`, `zproxy_connections_refused_total 7x60`},
		"ZproxyConfigurationRefused":    {`zproxy_configuration_reloads_total{result="failed"} 0x25 1x35`, `zproxy_configuration_reloads_total{result="done"} 0+1x60`},
		"ZproxyCertificateFilesRefused": {`zproxy_certificate_reloads_total{result="failed"} 0x25 1x35`, `zproxy_certificate_reloads_total{result="done"} 0+1x60`},
		"ZproxyCredentialFileRefused":   {`zproxy_credential_changes_total{result="failed"} 0x25 1x35`, `zproxy_credential_changes_total{result="done"} 0+1x60`},
		"ZproxyFault":                   {`zproxy_requests_total{reason="internal_error"} _x25 1x35`, `zproxy_requests_total{reason="internal_error"} 3x60`},
	}
}

func TestAlertsFireForWhatTheyAreAndForNothingElse(t *testing.T) {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 100_000, Timeout: time.Minute, EnableNegativeOffset: true, EnableAtModifier: true, Parser: parser.NewParser(parser.Options{})})
	defer engine.Close()
	cases := alertCases()
	for _, r := range rules(t) {
		c, ok := cases[r.Alert]
		if !ok {
			t.Errorf("%s has no case", r.Alert)
			continue
		}
		for i, series := range c {
			q, err := engine.NewInstantQuery(t.Context(), loaded(t, series), nil, r.Expr, time.Unix(30*60, 0))
			check(t, err)
			got, err := q.Exec(t.Context()).Vector()
			check(t, err)
			if fires := len(got) > 0; fires != (i == 0) {
				t.Errorf("%s with\n%s\nfires: %v", r.Alert, series, fires)
			}
			q.Close()
		}
	}
}

func TestOperationsTellEveryMetricAndEveryAlert(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	check(t, err)
	documented := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if name := strings.Trim(cells[min(1, len(cells)-1)], " `"); len(cells) > 3 && strings.HasPrefix(strings.ToLower(name), "zproxy_") {
			documented[name] = strings.Fields(strings.ReplaceAll(cells[2], "`", ""))
		}
	}
	real := make(map[string][]string)
	for name, labels := range exposed(t) {
		if strings.HasPrefix(name, "zproxy_") && !strings.HasSuffix(name, "_bucket") && !strings.HasSuffix(name, "_count") {
			real[strings.TrimSuffix(name, "_sum")] = labels
		}
	}
	for name, labels := range real {
		got, ok := documented[name]
		slices.Sort(got)
		slices.Sort(labels)
		if !ok || !slices.Equal(got, labels) {
			t.Errorf("docs/operations.md has %s with %v, it is exposed with %v", name, got, labels)
		}
	}
	for name := range documented {
		if _, ok := real[name]; !ok {
			t.Errorf("docs/operations.md has %s, which nothing exposes", name)
		}
	}
	for _, r := range rules(t) {
		if !strings.Contains(string(text), "| `"+r.Alert+"` |") {
			t.Errorf("docs/operations.md does not say what to do about %s", r.Alert)
		}
	}
}
