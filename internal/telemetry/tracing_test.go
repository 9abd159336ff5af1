package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
	"github.com/zproxy/zproxy/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// variables is an environment.
type variables map[string]string

func (v variables) get(name string) string { return v[name] }

// traced is a sandbox with a gateway before it.
type traced struct {
	sandbox *sandbox.Sandbox
	dir     string
	url     string
	stop    func()
}

const tracedFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: reader, personal_access_token: {token_file: "$DIR/pat", user_id: "$USER"}}]
rules: [{name: reads, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/GetUserByID, zitadel.project.v2.ProjectService/CreateProject], as: reader}]
audit: {file: "$DIR/audit.jsonl"}
`

// newTraced runs a gateway that is traced as env says, until stop.
func newTraced(t *testing.T, env variables) *traced {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	w := &traced{sandbox: s, dir: t.TempDir()}
	id := s.AddMachineUser("reader", "IAM_OWNER")
	check(t, os.WriteFile(filepath.Join(w.dir, "pat"), []byte(s.AddPAT(id)), 0o600))
	text := strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", w.dir, "$USER", id).Replace(tracedFile)
	cfg, err := config.Parse("traced.yaml", []byte(text))
	check(t, err)
	var options gateway.Options
	tracing, err := telemetry.NewTracing(context.Background(), env.get, "v1", zerolog.Nop())
	check(t, err)
	if tracing != nil {
		options.Trace = tracing
	}
	g, err := gateway.New(cfg, options)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	w.url = "http://" + g.Address("local").String()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		check(t, <-ended)
		flush, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		check(t, tracing.Shutdown(flush))
	}
	t.Cleanup(w.stop)
	for deadline := time.Now().Add(20 * time.Second); !g.Ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not ready within 20 s")
		}
	}
	return w
}

func (w *traced) call(t *testing.T, method, path, body string, header ...string) int {
	t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	check(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	check(t, err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	check(t, err)
	return res.StatusCode
}

// records are the outcome records, after the gateway has ended.
func (w *traced) records(t *testing.T) []audit.Record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "audit.jsonl"))
	check(t, err)
	all, err := audit.ReadAll(bytes.NewReader(text))
	check(t, err)
	return slices.DeleteFunc(all, func(r audit.Record) bool { return r.Kind != audit.Outcome })
}

const (
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
)

func TestRequestsLeaveOneServerAndOneClientSpan(t *testing.T) {
	c := newCollector(t)
	w := newTraced(t, variables{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
		"OTEL_RESOURCE_ATTRIBUTES": "unused=1"})
	alice := w.sandbox.Users()["alice@acme.example"]
	// Not sampled, says the caller; that does not count.
	if code := w.call(t, "GET", "/v2/users/"+alice, "", "Traceparent", "00-"+callerTrace+"-"+callerSpan+"-00", "Tracestate", "v=1", "Baggage", "user=alice"); code != 200 {
		t.Fatal(code)
	}
	w.stop()
	servers, clients := c.of(tracepb.Span_SPAN_KIND_SERVER), c.of(tracepb.Span_SPAN_KIND_CLIENT)
	if len(servers) != 1 || len(clients) != 1 {
		t.Fatalf("server spans %v, client spans %v", servers, clients)
	}
	server, sent := servers[0], clients[0]
	if hex.EncodeToString(server.GetTraceId()) != callerTrace || hex.EncodeToString(server.GetParentSpanId()) != callerSpan || !bytes.Equal(sent.GetParentSpanId(), server.GetSpanId()) {
		t.Errorf("the spans are no children of the caller's: %v %v", server, sent)
	}
	arrived := w.sandbox.Last().Header
	if got, want := arrived.Get("Traceparent"), fmt.Sprintf("00-%s-%x-01", callerTrace, sent.GetSpanId()); got != want || arrived.Get("Tracestate") != "v=1" || arrived["Baggage"] != nil {
		t.Errorf("upstream saw %v, want traceparent %s", arrived, want)
	}
	for key, want := range map[string]any{
		"http.request.method": "GET", "http.response.status_code": int64(200), "zproxy.operation": "zitadel.user.v2.UserService/GetUserByID",
		"zproxy.rule": "reads", "zproxy.reason": "allowed", "zproxy.caller.kind": "anonymous", "zproxy.service_user": "reader", "url.scheme": "http",
	} {
		if got := attribute(server, key); got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if server.GetName() != "zitadel.user.v2.UserService/GetUserByID" || attribute(sent, "http.response.status_code") != int64(200) {
		t.Errorf("%v %v", server, sent)
	}
	if r := w.records(t); len(r) != 1 || r[0].TraceID != callerTrace {
		t.Errorf("records %+v", r)
	}
	if c.about["service.name"] != "zproxy" || c.about["service.version"] != "v1" || c.headers[0].Get("X-Key") != "a b" {
		t.Errorf("resource %v, header %v", c.about, c.headers[0])
	}
	for _, s := range []*tracepb.Span{server, sent} {
		if text := protojson.Format(s); strings.Contains(text, alice) || strings.Contains(text, "/v2/") {
			t.Errorf("the span holds an id or a path: %s", text)
		}
	}
}

func TestRefusalsAndStagesAreInSpans(t *testing.T) {
	c := newCollector(t)
	w := newTraced(t, variables{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.URL + "/v1/traces"})
	if code := w.call(t, "POST", "/v2/users/287345091734020007/lock", "{}", "Content-Type", "application/json", "Tracestate", "v=1", "Traceparent", "nonsense"); code != 403 {
		t.Error(code)
	}
	if code := w.call(t, "BREW", "/v2/users/287345091734020007?secret=1", ""); code < 400 {
		t.Error(code)
	}
	if code := w.call(t, "POST", "/zitadel.project.v2.ProjectService/CreateProject", `{"organizationId":"`+sandbox.Organization+`","name":"x"}`, "Content-Type", "application/json", "Tracestate", "v=1"); code != 200 {
		t.Error(code)
	}
	if arrived := w.sandbox.Last().Header; arrived["Tracestate"] != nil || len(arrived["Traceparent"]) != 1 {
		t.Errorf("a tracestate without a trace went on: %v", arrived)
	}
	w.stop()
	spans := c.of(tracepb.Span_SPAN_KIND_SERVER)
	if len(spans) != 3 {
		t.Fatalf("%v", spans)
	}
	if attribute(spans[0], "zproxy.reason") != "no_rule" || attribute(spans[0], "zproxy.effect") != "deny" || spans[0].GetParentSpanId() != nil {
		t.Errorf("%v", spans[0])
	}
	if spans[1].GetName() != "_OTHER" && attribute(spans[1], "http.request.method") != "_OTHER" || strings.Contains(protojson.Format(spans[1]), "secret") {
		t.Errorf("%v", spans[1])
	}
	var stages []string
	for _, e := range spans[2].GetEvents() {
		stages = append(stages, e.GetName())
	}
	if !slices.Contains(stages, "decided") || !slices.Contains(stages, "evidence written") {
		t.Errorf("stages %v", stages)
	}
	for i, r := range w.records(t) {
		if r.TraceID != hex.EncodeToString(spans[i].GetTraceId()) {
			t.Errorf("record %d has trace %s, its span %x", i, r.TraceID, spans[i].GetTraceId())
		}
	}
}

func TestWithoutTracingTheCallersContextPassesAsItIs(t *testing.T) {
	w := newTraced(t, variables{})
	parent := "00-" + callerTrace + "-" + callerSpan + "-00"
	if code := w.call(t, "GET", "/v2/users/"+w.sandbox.Users()["alice@acme.example"], "", "Traceparent", parent); code != 200 {
		t.Fatal(code)
	}
	if got := w.sandbox.Last().Header.Get("Traceparent"); got != parent {
		t.Errorf("upstream saw %s", got)
	}
}
