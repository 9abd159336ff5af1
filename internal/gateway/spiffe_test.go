package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
	"github.com/zproxy/zproxy/internal/spiffe/agent"
)

const spiffeFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners:
  - name: mesh
    address: 127.0.0.1:0
    tls: {spiffe: {workload_api: "$AGENT"}}
    callers: {client_certificate: {$CLIENTS}}
service_users: [{name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "1000000000000001"}}]
rules:
  - {name: crm, callers: ["spiffe://acme.internal/crm", "spiffe://partner.example/billing"], operations: [zitadel.user.v2.UserService/ListUsers], as: pat}
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
`

// federation is a gateway whose certificate and trust come from an agent.
type federation struct {
	*mesh
	agent   *agent.Agent
	partner *authority
}

// journal is a log that may be written and read at once.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// startSPIFFE runs a gateway; its agent is there, and gives, if there is to be one.
func startSPIFFE(t *testing.T, there bool, clients string) *federation {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	f := &federation{mesh: &mesh{authority: newAuthority(t), dir: t.TempDir(), log: new(journal)}, partner: newAuthority(t)}
	f.agent = agent.New(filepath.Join(f.dir, "agent.sock"))
	t.Cleanup(f.agent.Stop)
	if there {
		f.rotate()
		check(t, f.agent.Start())
	}
	write(t, filepath.Join(f.dir, "pat"), s.AddPAT(s.AddMachineUser("pat", "IAM_OWNER")))
	write(t, filepath.Join(f.dir, "ca.crl"), f.revoke(1))
	write(t, filepath.Join(f.dir, "partner.crt"), f.partner.pem())
	cfg, err := config.Parse("spiffe.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$AGENT", f.agent.Address(), "$CLIENTS", strings.ReplaceAll(clients, "$DIR", f.dir), "$DIR", f.dir).Replace(spiffeFile)))
	check(t, err)
	g, err := gateway.New(cfg, gateway.Options{Log: zerolog.New(f.log)})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-ended) })
	f.address, f.admin = g.Address("mesh").String(), g.Address("admin").String()
	f.until("serving", func() bool { return strings.Contains(f.log.String(), `"message":"listening"`) })
	if there {
		f.until("ready", g.Ready)
	}
	return f
}

func (m *mesh) until(what string, true func() bool) {
	m.t.Helper()
	for range 6000 {
		if true() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	m.t.Fatalf("%s: not within 30 s\n%s", what, m.log)
}

// rotate gives zproxy another SVID, and bundles of its own and the partner's trust domain.
func (f *federation) rotate() {
	f.t.Helper()
	check(f.t, f.agent.Give(f.issue(asZproxy), []*x509.Certificate{f.cert}, map[string][]*x509.Certificate{"partner.example": {f.partner.cert}}))
}

func asZproxy(c *x509.Certificate) {
	forServer(c)
	spiffeID("spiffe://acme.internal/zproxy")(c)
}

func (f *federation) status(cert tls.Certificate, http2 bool) string {
	res, text, err := f.list(f.client(&cert, http2))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(res.StatusCode, " ", text)
}

func TestCallersOfTrustDomainsAreVerifiedByTheirOwnBundles(t *testing.T) {
	f := startSPIFFE(t, true, "")
	for name, cert := range map[string]tls.Certificate{
		"ours":      f.issue(spiffeID("spiffe://acme.internal/crm")),
		"federated": f.partner.issue(spiffeID("spiffe://partner.example/billing")),
	} {
		for _, http2 := range []bool{false, true} {
			if got := f.status(cert, http2); !strings.HasPrefix(got, "200 ") {
				t.Errorf("%s, HTTP/2 %v: %s", name, http2, got)
			}
		}
	}
	for name, cert := range map[string]tls.Certificate{
		"a federated CA in our name": f.partner.issue(spiffeID("spiffe://acme.internal/crm")),
		"our CA in a federated name": f.issue(spiffeID("spiffe://partner.example/billing")),
		"no trust domain of ours":    f.issue(spiffeID("spiffe://other.example/crm")),
	} {
		before := len(f.records())
		if got := f.status(cert, true); strings.HasPrefix(got, "200 ") {
			t.Errorf("%s: %s", name, got)
		}
		f.until(name, func() bool { return len(f.records()) > before })
		if r := f.records()[before]; r.Reason != "certificate_untrusted" || r.Effect != "deny" || len(r.Thumbprint) != 43 || r.Caller != "" {
			t.Errorf("%s: record %+v", name, r)
		}
	}
	if text := f.log.String(); !strings.Contains(text, "the trust bundle of acme.internal") || !strings.Contains(text, `no trust bundle of the trust domain \"other.example\"`) {
		t.Errorf("the log says\n%s", text)
	}
}

// Certificates and bundles are replaced again and again under load, over
// connections that are kept and over new ones: no call fails.
func TestRotationsLoseNoRequest(t *testing.T) {
	f := startSPIFFE(t, true, "")
	crm, billing := f.issue(spiffeID("spiffe://acme.internal/crm")), f.partner.issue(spiffeID("spiffe://partner.example/billing"))
	calls := f.load(4, crm, billing)
	for i := range 20 {
		svid := f.issue(asZproxy)
		bundle := []*x509.Certificate{f.cert}
		if i%5 == 4 { // a CA is added for a while
			bundle = append(bundle, newAuthority(t).cert)
		}
		check(t, f.agent.Give(svid, bundle, map[string][]*x509.Certificate{"partner.example": {f.partner.cert}}))
		calls.waitFor(svid.Leaf)
	}
	calls.end()
	if text := f.get("/metrics"); !strings.Contains(text, `zproxy_certificate_reloads_total{listener="mesh",result="done"} `) || !strings.Contains(text, `zproxy_certificate_expiry_timestamp_seconds{listener="mesh"} 1`) {
		t.Errorf("metrics do not tell of the rotations")
	}
}

func TestBundlesThatAreWithdrawnEndConnections(t *testing.T) {
	f := startSPIFFE(t, true, "")
	billing, crm := f.partner.issue(spiffeID("spiffe://partner.example/billing")), f.issue(spiffeID("spiffe://acme.internal/crm"))
	kept, stays := f.client(&billing, true), f.client(&crm, true)
	for _, c := range []*http.Client{kept, stays} {
		if res, text, err := f.list(c); err != nil || res.StatusCode != 200 {
			t.Fatalf("%v %s %v", res, text, err)
		}
	}
	check(t, f.agent.Give(f.issue(asZproxy), []*x509.Certificate{f.cert}, nil))
	if r := f.recorded("certificate_untrusted"); r.Caller != "spiffe://partner.example/billing" {
		t.Errorf("record %+v", r)
	}
	if res, text, err := f.list(kept); err == nil {
		t.Errorf("answered %d %s", res.StatusCode, text)
	}
	if res, text, err := f.list(stays); err != nil || res.StatusCode != 200 {
		t.Errorf("the other domain: %v %s %v", res, text, err)
	}
	f.agent.Refuse(codes.PermissionDenied, "no identity issued")
	f.until("all is withdrawn", func() bool { return strings.Contains(f.get("/readyz"), "entitles this process to no identity") })
	f.until("the other connection's end", func() bool {
		for _, r := range f.records() {
			if r.Reason == "certificate_untrusted" && r.Caller == "spiffe://acme.internal/crm" {
				return true
			}
		}
		return false
	})
}

func TestWithoutAnAgentStartHoldsNothingUpAndHandshakesSayWhy(t *testing.T) {
	f := startSPIFFE(t, false, "")
	crm := f.issue(spiffeID("spiffe://acme.internal/crm"))
	if got := f.status(crm, true); strings.HasPrefix(got, "200 ") {
		t.Errorf("answered %s", got)
	}
	if r := f.recorded("no_server_certificate"); r.Effect != "deny" || r.Peer == "" || r.Status != 0 {
		t.Errorf("record %+v", r)
	}
	if text := f.log.String(); !strings.Contains(text, "no X.509-SVID of the SPIFFE Workload API") || !strings.Contains(text, "the agent cannot be reached") {
		t.Errorf("the log says\n%s", text)
	}
	res, err := http.Get("http://" + f.admin + "/readyz")
	check(t, err)
	body, err := io.ReadAll(res.Body)
	check(t, err)
	check(t, res.Body.Close())
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "no X.509-SVID") {
		t.Errorf("readiness is %d %s", res.StatusCode, body)
	}
	f.rotate()
	check(t, f.agent.Start())
	f.until("served once the agent is there", func() bool { return strings.HasPrefix(f.status(crm, true), "200 ") })
	f.agent.Stop()
	f.until("the agent's absence in readiness", func() bool {
		text := f.get("/readyz")
		return strings.Contains(text, "the agent cannot be reached") && strings.HasPrefix(text, `{"ready":true`)
	})
	if got := f.status(crm, false); !strings.HasPrefix(got, "200 ") {
		t.Errorf("without the agent: %s", got)
	}
}

func TestRevocationHoldsWithTrustBundles(t *testing.T) {
	f := startSPIFFE(t, true, `crl_file: "$DIR/ca.crl"`)
	crm := f.issue(spiffeID("spiffe://acme.internal/crm"))
	kept := f.client(&crm, true)
	if res, text, err := f.list(kept); err != nil || res.StatusCode != 200 {
		t.Fatalf("%v %s %v", res, text, err)
	}
	if got := f.status(f.partner.issue(spiffeID("spiffe://partner.example/billing")), true); strings.HasPrefix(got, "200 ") {
		t.Errorf("a caller whose CA has no list: %s", got)
	}
	f.recorded("certificate_revocation_unknown")
	replace(t, filepath.Join(f.dir, "ca.crl"), f.revoke(2, crm.Leaf.SerialNumber))
	if r := f.recorded("certificate_revoked"); r.Caller != "spiffe://acme.internal/crm" {
		t.Errorf("record %+v", r)
	}
	f.rotate() // a rotation does not bring the old list back
	if got := f.status(crm, true); strings.HasPrefix(got, "200 ") {
		t.Errorf("revoked, and answered %s", got)
	}
}

// A file of CAs takes the place of bundles: theirs count no more.
func TestACAFileTakesThePlaceOfBundles(t *testing.T) {
	f := startSPIFFE(t, true, `ca_file: "$DIR/partner.crt"`)
	if got := f.status(f.issue(spiffeID("spiffe://acme.internal/crm")), true); strings.HasPrefix(got, "200 ") {
		t.Errorf("of the bundle: %s", got)
	}
	f.recorded("certificate_untrusted")
	if got := f.status(f.partner.issue(spiffeID("spiffe://acme.internal/crm")), true); !strings.HasPrefix(got, "200 ") {
		t.Errorf("of the file: %s", got)
	}
}

func TestCheckAsksTheAgent(t *testing.T) {
	f := &federation{mesh: &mesh{authority: newAuthority(t), dir: t.TempDir()}, partner: newAuthority(t)}
	f.agent = agent.New(filepath.Join(f.dir, "agent.sock"))
	t.Cleanup(f.agent.Stop)
	cfg, err := config.Parse("spiffe.yaml", []byte(strings.NewReplacer("$ISSUER", "http://127.0.0.1:1", "$AGENT", f.agent.Address(), "$CLIENTS", "", "$DIR", f.dir).Replace(spiffeFile)))
	check(t, err)
	says := func(level gateway.Level, message string, options gateway.CheckOptions) {
		t.Helper()
		findings, err := gateway.Check(t.Context(), cfg, options)
		check(t, err)
		for _, found := range findings {
			if found.About == "listener mesh" && found.Level == level && strings.Contains(found.Message, message) {
				return
			}
		}
		t.Errorf("nothing of %q in %+v", message, findings)
	}
	says(gateway.OK, "was not asked", gateway.CheckOptions{Offline: true})
	says(gateway.Fault, "the agent cannot be reached", gateway.CheckOptions{})
	f.rotate()
	check(t, f.agent.Start())
	says(gateway.OK, "it is spiffe://acme.internal/zproxy until ", gateway.CheckOptions{})
	says(gateway.OK, "trust bundles of acme.internal, partner.example", gateway.CheckOptions{})
	f.agent.Refuse(codes.PermissionDenied, "no identity issued")
	says(gateway.Fault, "entitles this process to no identity", gateway.CheckOptions{})
}
