package observed_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/observed"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

var update = flag.Bool("update", false, "write the golden files")

func check(t interface{ Fatal(...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func catalogue(t interface{ Fatal(...any) }) *operation.Catalogue {
	c, err := operation.Default()
	check(t, err)
	return c
}

var day = time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC)

// log writes records as the proxy does and returns the file's text.
func log(t interface{ Fatal(...any) }, dir string, records []audit.Record) []byte {
	file := filepath.Join(dir, "audit.jsonl")
	_ = os.Remove(file)
	l, err := audit.Open(audit.Options{File: file})
	check(t, err)
	for _, r := range records {
		r.Listener, r.Protocol, r.Method, r.Path = "local", "rest", "GET", "/v2/users"
		if r.Kind == "" {
			r.Kind = audit.Outcome
		}
		if r.Time.IsZero() {
			r.Time = day
		}
		if r.ID == "" {
			r.ID = "id"
		}
		check(t, l.Write(&r))
	}
	check(t, l.Close())
	text, err := os.ReadFile(file)
	check(t, err)
	return text
}

func use(t interface{ Fatal(...any) }, dir string, filter observed.Filter, records ...audit.Record) *observed.Use {
	u := observed.New(catalogue(t))
	check(t, u.Add(bytes.NewReader(log(t, dir, records)), filter))
	return u
}

func allowed(caller, op, user string) audit.Record {
	return audit.Record{Caller: caller, Operation: op, ServiceUser: user, Effect: "allow", Reason: "allowed", Rule: "r"}
}

func denied(caller, op, reason string) audit.Record {
	return audit.Record{Caller: caller, Operation: op, Effect: "deny", Reason: reason}
}

// configured reads rules as part of the least configuration that has these service users.
func configured(rules []byte, serviceUsers ...string) error {
	text := `version: 1
upstream: {issuer: https://acme.zitadel.cloud}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
audit: {file: "-"}
service_users:
`
	for _, u := range serviceUsers {
		text += fmt.Sprintf("  - {name: %q, private_key_jwt: {key_file: key.json}}\n", u)
	}
	_, err := config.Parse("zproxy.yaml", append([]byte(text), rules...))
	return err
}

const (
	users  = "zitadel.user.v2.UserService/"
	manage = "zitadel.management.v1.ManagementService/"
)

// Whatever callers did, the rules proposed for it allow all of it as the same
// service user, and nothing else.
func TestRulesReplayWhatWasObservedAndNothingElse(t *testing.T) {
	c := catalogue(t)
	all := slices.DeleteFunc(slices.Clone(c.Operations()), policy.ChangesItself) // no rule for them can have a service user
	callers := []string{"unix:crm", "spiffe://acme.internal/hr/payroll", "anonymous:local", "dns:portal.acme.internal"}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		want := map[[2]string]string{}
		var records []audit.Record
		for range rapid.IntRange(1, 40).Draw(t, "requests") {
			caller := rapid.SampledFrom(callers).Draw(t, "caller")
			op := string(rapid.SampledFrom(all).Draw(t, "operation").Name)
			user, seen := want[[2]string{caller, op}]
			if !seen {
				user = rapid.SampledFrom([]string{"reader", "writer", ""}).Draw(t, "service user")
			}
			want[[2]string{caller, op}] = user
			if user == "" {
				records = append(records, denied(caller, op, "no_rule"))
			} else {
				records = append(records, allowed(caller, op, user))
			}
		}
		u := use(t, dir, observed.Filter{}, records...)
		proposal := u.Rules("newcomer")
		var file struct{ Rules []policy.Rule }
		check(t, yaml.UnmarshalWithOptions(proposal.YAML(), &file, yaml.Strict()))
		check(t, configured(proposal.YAML(), "reader", "writer", "newcomer"))
		p, err := policy.Compile(c, file.Rules)
		check(t, err)
		for _, name := range callers {
			caller, err := authn.ParseCaller(name)
			check(t, err)
			for _, op := range all {
				d := p.Decide(caller, op, policy.Facts{})
				user, seen := want[[2]string{name, string(op.Name)}]
				if user == "" {
					user = "newcomer"
				}
				switch {
				case seen && (d.Effect != policy.Allow || d.As != user):
					t.Fatalf("%s %s was observed, and is %+v", name, op.Name, d)
				case !seen && d.Effect == policy.Allow:
					t.Fatalf("%s %s was not observed, and is allowed by %s", name, op.Name, d.Rule)
				}
			}
		}
	})
}

func TestProposalsReadWell(t *testing.T) {
	inAcme := func(r audit.Record) audit.Record { r.Organization = "287345091734012345"; return r }
	shadowed := denied("spiffe://acme.internal/hr/payroll", users+"ListUsers", "no_rule")
	shadowed.Shadow = "next-month"
	for name, c := range map[string]struct {
		as       string
		records  []audit.Record
		complete bool
	}{
		"hazards": {"", []audit.Record{
			allowed("unix:crm", users+"ListUsers", "reader"), allowed("unix:crm", users+"ListUsers", "reader"), allowed("unix:crm", users+"AddKey", "writer"),
			allowed("unix:crm", users+"CreateUser", "writer"), allowed("unix:crm", users+"LockUser", "writer"),
		}, true},
		"shared-by-callers": {"", []audit.Record{
			inAcme(allowed("unix:crm", users+"ListUsers", "reader")), inAcme(allowed("unix:erp", users+"ListUsers", "reader")),
			allowed("unix:batch", users+"ListUsers", "reader"), allowed("unix:batch", manage+"GetMyOrg", "reader"),
		}, true},
		"refused": {"", []audit.Record{shadowed, denied("unix:crm", users+"GetUserByID", "no_rule"), denied("unix:crm", users+"AddKey", "hazard")}, false},
		"refused-with-service-user": {"reader", []audit.Record{
			denied("unix:crm", users+"GetUserByID", "no_rule"), allowed("unix:crm", users+"ListUsers", "reader"),
			allowed("unix:crm", users+"LockUser", "writer"), denied("unix:crm", users+"LockUser", "no_rule"),
		}, true},
		"deprecated":            {"", []audit.Record{allowed("unix:crm", manage+"GetUserByID", "reader")}, true},
		"two-service-users":     {"", []audit.Record{allowed("unix:crm", users+"ListUsers", "writer"), allowed("unix:crm", users+"ListUsers", "reader")}, true},
		"some-in-organizations": {"", []audit.Record{inAcme(allowed("unix:crm", users+"ListUsers", "reader")), allowed("unix:crm", users+"ListUsers", "reader")}, true},
		"callers-token-does-not-do": {"caller", []audit.Record{
			denied("unix:crm", users+"ListUsers", "no_rule"), denied("unix:crm", users+"GetUserByID", "no_rule"), denied("unix:crm", "oidc/userinfo", "no_rule"),
		}, false},
		"callers-token": {"", []audit.Record{allowed("dns:portal.acme.internal", "zitadel.auth.v1.AuthService/GetMyUser", "caller"), allowed("dns:portal.acme.internal", "zitadel.auth.v1.AuthService/AddMyAuthFactorOTP", "caller")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := use(t, t.TempDir(), observed.Filter{}, c.records...).Rules(c.as)
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				check(t, os.WriteFile(golden, p.YAML(), 0o644))
			}
			want, err := os.ReadFile(golden)
			check(t, err)
			if !bytes.Equal(want, p.YAML()) {
				t.Errorf("got:\n%s\nwant:\n%s", p.YAML(), want)
			}
			if p.Complete != c.complete {
				t.Errorf("complete is %t", p.Complete)
			}
			if _, err := policy.Compile(catalogue(t), p.Rules()); err != nil {
				t.Error(err)
			}
		})
	}
}
