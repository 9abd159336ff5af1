package config_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/config"
)

func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == "alerts.yaml" }) // Prometheus's
}

func load(t *testing.T, file string) *config.Config {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExamplesLoad(t *testing.T) {
	for _, file := range examples(t) {
		load(t, file)
	}
}

func TestLeastFileGetsTheDefaults(t *testing.T) {
	c := load(t, "../../configs/minimal.yaml")
	want := config.Limits{HeaderBytes: 64 << 10, BodyBytes: 32 << 20, InspectBody: 4 << 20, InspectAll: 32 << 20, Connections: 10_000, PerAddress: 1_000, PerCaller: 1_000, Stall: time.Minute, Drain: 30 * time.Second}
	if c.Limits != want {
		t.Errorf("limits: %+v", c.Limits)
	}
	timeouts := config.Timeouts{Connect: 5 * time.Second, ResponseHeader: time.Minute, Idle: 30 * time.Second, ConnectionAge: 5 * time.Minute, Deadline: 10 * time.Minute}
	if c.Upstream.Timeouts != timeouts || c.Upstream.MaxInFlight != 1000 {
		t.Errorf("upstream: %+v", c.Upstream)
	}
	if c.Admin != nil || c.Hints || c.Upstream.Address != nil || c.Upstream.Limit != nil {
		t.Errorf("something is on by default: %+v", c)
	}
	if got := c.Upstream.Issuer.String(); got != "https://acme.zitadel.cloud" {
		t.Errorf("issuer: %s", got)
	}
	if c.Audit.File != "-" || c.ServiceUsers[0].PrivateKeyJWT.KeyFile != "key.json" {
		t.Errorf("files: %q, %+v", c.Audit.File, c.ServiceUsers[0])
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	c := load(t, "../../configs/gateway.yaml")
	uid, gid := uint32(1001), uint32(2000)
	listeners := []config.Listener{
		{Name: "sidecar", Network: "unix", Address: "/run/zproxy/zproxy.sock", Mode: fs.FileMode(0o660),
			Unix: []config.UnixCaller{{Name: "crm", UID: &uid}, {Name: "batch", GID: &gid}}},
		{Name: "local", Network: "tcp", Address: "127.0.0.1:8080", Anonymous: "local"},
		{Name: "legacy", Network: "tcp", Address: "10.1.0.5:8081", Anonymous: "legacy",
			AllowFrom: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Hosts: []string{"zproxy.legacy.internal"}},
	}
	same(t, "listeners", c.Listeners, listeners)
	same(t, "service users", c.ServiceUsers, []config.ServiceUser{
		{Name: "directory-reader", PrivateKeyJWT: &config.PrivateKeyJWT{KeyFile: "/run/secrets/directory-reader.json", Rotate: &config.Rotation{
			Every: 720 * time.Hour, BeforeExpiry: 168 * time.Hour, Lifetime: 2160 * time.Hour, Grace: time.Hour,
		}}},
		{Name: "provisioner", ClientCredentials: &config.ClientCredentials{ClientID: "provisioner", ClientSecretFile: "/run/secrets/provisioner.secret", UserID: "287345091734012345"}},
		{Name: "exporter", PersonalAccessToken: &config.PersonalAccessToken{TokenFile: "/run/secrets/exporter.pat", UserID: "287345091734012346", Expires: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{Name: "platform", SystemUser: &config.SystemUser{User: "platform", KeyFile: "/run/secrets/platform.pem", Audience: "https://acme.zitadel.cloud"}},
	})
	same(t, "first rule", c.Rules[0], config.Rule{
		Name: "crm-reads-users", Callers: []string{"unix:crm", "anonymous:local"},
		Operations: []string{"zitadel.user.v2.UserService/GetUserByID", "zitadel.user.v2.UserService/List*"},
		Except:     []string{"zitadel.user.v2.UserService/ListUserMetadata"}, Organizations: []string{"*"},
		As: "directory-reader", Limit: &config.Limit{Rate: 20, Burst: 40},
	})
	same(t, "hazards", c.Rules[1].Hazards, []string{"plants-credential", "returns-code"})
	same(t, "shadow", c.Rules[5].Shadow, true)
	same(t, "address", c.Upstream.Address.String(), "http://zitadel.zitadel.svc:8080")
	same(t, "ca_file", c.Upstream.CAFile, "/run/tls/internal-ca.crt")
	same(t, "forward_headers", c.Upstream.ForwardHeaders, []string{"x-b3-*", "x-request-id"})
	same(t, "limit", c.Upstream.Limit, &config.Limit{Rate: 45, Burst: 90})
	same(t, "timeouts", c.Upstream.Timeouts, config.Timeouts{Connect: 5 * time.Second, ResponseHeader: time.Minute, Idle: 30 * time.Second, ConnectionAge: 5 * time.Minute, Deadline: 10 * time.Minute})
	same(t, "max_in_flight", c.Upstream.MaxInFlight, 1000)
	same(t, "unlisted", c.Unlisted, []string{"zitadel.user.v2.UserService/FutureMethod"})
	same(t, "audit", c.Audit, config.Audit{File: "/var/log/zproxy/audit.jsonl"})
	same(t, "admin", c.Admin, &config.Admin{Address: "127.0.0.1:9090"})
	same(t, "limits", c.Limits, config.Limits{HeaderBytes: 64 << 10, BodyBytes: 32 << 20, InspectBody: 4 << 20, InspectAll: 32 << 20, Connections: 10_000, PerAddress: 1_000, PerCaller: 1_000, Stall: time.Minute, Drain: 30 * time.Second, DrainDelay: 5 * time.Second})
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func TestSocketWithoutModeIsItsOwnersOnly(t *testing.T) {
	text := strings.Replace(example(t, "minimal.yaml"), "127.0.0.1:8080", "unix:/run/z.sock", 1)
	c, err := config.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Listeners[0]; l.Mode != 0o600 || l.Anonymous != "local" {
		t.Errorf("%+v", l)
	}
}

func TestRatesAreKeptPerSecond(t *testing.T) {
	for rate, want := range map[string]config.Limit{
		"45/s": {Rate: 45, Burst: 45}, "120/m": {Rate: 2, Burst: 2}, "36/h": {Rate: 0.01, Burst: 1}, "0.5/s": {Rate: 0.5, Burst: 1},
	} {
		text := strings.Replace(example(t, "minimal.yaml"), "listeners:", "  limit: {rate: "+rate+"}\nlisteners:", 1)
		c, err := config.Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		same(t, rate, *c.Upstream.Limit, want)
	}
}

func TestPlaintextUpstreamMustBeAskedForBeyondLoopback(t *testing.T) {
	for upstream, fine := range map[string]bool{
		"{issuer: 'http://127.0.0.1:8080'}":                                          true,
		"{issuer: 'http://[::1]:8080'}":                                              true,
		"{issuer: 'http://acme.localhost:8080'}":                                     true,
		"{issuer: 'http://zitadel:8080'}":                                            false,
		"{issuer: 'http://10.0.0.1:8080'}":                                           false,
		"{issuer: 'http://zitadel:8080', unsafe_plaintext: false}":                   false,
		"{issuer: 'http://zitadel:8080', unsafe_plaintext: true}":                    true,
		"{issuer: 'https://acme.zitadel.cloud', address: 'http://zitadel.svc:8080'}": true,
	} {
		text := strings.Replace(example(t, "minimal.yaml"), "upstream:\n  issuer: https://acme.zitadel.cloud", "upstream: "+upstream, 1)
		if _, err := config.Parse("x.yaml", []byte(text)); (err == nil) != fine {
			t.Errorf("%s: %v", upstream, err)
		}
	}
}

func TestByteOrderMarkAndCarriageReturnsAreNoFault(t *testing.T) {
	text := "\xef\xbb\xbf" + strings.ReplaceAll(example(t, "gateway.yaml"), "\n", "\r\n")
	c, err := config.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "listeners", c.Listeners, load(t, "../../configs/gateway.yaml").Listeners)
}

// The file is the format's contract: it loads as it stands.
func TestTheContractLoads(t *testing.T) {
	c := load(t, "testdata/contract.yaml")
	mesh := c.Listeners[0]
	if mesh.TLS == nil || mesh.TLS.CertificateFile != "/run/tls/zproxy.crt" || mesh.TLS.KeyFile != "/run/tls/zproxy.key" {
		t.Errorf("tls is %+v", mesh.TLS)
	}
	same(t, "identity", mesh.ClientCertificate.Identity, []string{"spiffe", "dns"})
	same(t, "organizations", c.Rules[0].Organizations, []string{"287345091734012345"})
	if c.Rules[1].When == "" {
		t.Error("the condition is lost")
	}
}

func TestLaterFaultsPointIntoTheFile(t *testing.T) {
	c := load(t, "../../configs/minimal.yaml")
	lines := strings.Split(example(t, "minimal.yaml"), "\n")
	for path, want := range map[string]string{
		"rules[0].operations[1]":       "      - zitadel.user.v2.UserService/List*",
		"rules[0].except[3]":           "  - name: reads-users", // absent: the longest part that is there
		"service_users[0].name":        "  - name: directory-reader",
		"listeners[0].callers.unix.me": "    callers:",
	} {
		f := c.Fault(path, "it is wrong", "mend it")
		if f.Line == 0 || f.Excerpt != want || lines[f.Line-1] != want {
			t.Errorf("%s: %s", path, f)
		}
	}
	if f := c.Fault("nothing.like.it", "it is wrong", "mend it"); f.Line != 0 || f.String() != "../../configs/minimal.yaml: it is wrong; mend it" {
		t.Errorf("%s", f)
	}
}

func TestFileThatCannotBeReadSaysSo(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "absent.yaml")
	if _, err := config.Load(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("%v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("#", 8<<20+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(large); err == nil || !strings.Contains(err.Error(), "8388609 bytes") {
		t.Errorf("%v", err)
	}
}

func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../configs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBundlesTakeThePlaceOfACAFile(t *testing.T) {
	l := load(t, "../../configs/spiffe.yaml").Listeners[0]
	if l.TLS.SPIFFE == nil || l.TLS.SPIFFE.WorkloadAPI != "unix:///run/spire/agent.sock" {
		t.Errorf("tls: %+v", l.TLS)
	}
	if c := l.ClientCertificate; c.CAFile != "" || !slices.Equal(c.Identity, []string{"spiffe"}) {
		t.Errorf("client_certificate: %+v", c)
	}
}

func TestIssuersAreRead(t *testing.T) {
	c := load(t, "../../configs/kubernetes.yaml")
	same(t, "issuers", c.Listeners[0].BearerJWT, []config.JWTIssuer{{
		Name: "cluster", Issuer: "https://kubernetes.default.svc.cluster.local", Audience: "zproxy", JWKSURL: "https://kubernetes.default.svc/openid/v1/jwks",
		CAFile: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", BearerTokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token",
	}})
	if !c.HasIssuer("cluster") || c.HasIssuer("ci") {
		t.Error("issuers are not found by their names")
	}
	text := strings.NewReplacer("0.0.0.0:8443", "10.1.0.5:8443").Replace(example(t, "kubernetes.yaml"))
	tls := text[strings.Index(text, "    tls:"):strings.Index(text, "    callers:")]
	for place, fine := range map[string]bool{
		tls: true, "    allow_from: [10.1.0.0/16]\n" + tls: true, "    unsafe_plaintext: true\n": true, "    allow_from: [10.1.0.0/16]\n": false, "": false,
	} {
		if _, err := config.Parse("x.yaml", []byte(strings.Replace(text, tls, place, 1))); (err == nil) != fine {
			t.Errorf("%q: %v", place, err)
		}
	}
	for _, address := range []string{"127.0.0.1:8443", "unix:/run/zproxy.sock"} {
		if _, err := config.Parse("x.yaml", []byte(strings.NewReplacer(tls, "", "10.1.0.5:8443", address).Replace(text))); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRotationOfNothingIsAllDefaults(t *testing.T) {
	text := strings.Replace(example(t, "minimal.yaml"), "{key_file: key.json}", "{key_file: key.json, rotate: {}}", 1)
	c, err := config.Parse("rotate.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Rotation{
		Every: config.DefaultRotateEvery, BeforeExpiry: config.DefaultRotateBeforeExpiry, Lifetime: config.DefaultRotateLifetime, Grace: config.DefaultRotateGrace,
	}
	if got := c.ServiceUsers[0].PrivateKeyJWT.Rotate; got == nil || *got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if c := load(t, "../../configs/minimal.yaml"); c.ServiceUsers[0].PrivateKeyJWT.Rotate != nil {
		t.Error("rotates without being told to")
	}
}
