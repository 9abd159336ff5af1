package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	listUsers         = "/v2/users"
	listOrganizations = "/v2/organizations/_search"
)

const otherRules = `rules:
  - {name: other, callers: ["anonymous:local"], operations: [zitadel.org.v2.OrganizationService/ListOrganizations], as: reader}
`

func TestAReloadReplacesTheRulesAndKeepsTheTokens(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	if a, b := l.status(t, "local", listUsers), l.status(t, "local", listOrganizations); a != 200 || b != 403 {
		t.Fatalf("before: %d, %d", a, b)
	}
	before := l.Address("local").String()
	l.configure(t, liveListeners, otherRules, liveRest)
	check(t, l.Reload())
	if a, b := l.status(t, "local", listUsers), l.status(t, "local", listOrganizations); a != 403 || b != 200 {
		t.Fatalf("after: %d, %d", a, b)
	}
	if l.Address("local").String() != before {
		t.Error("the listener did not change, and has another socket")
	}
	if n := l.sandbox.TokenRequests(); n != 1 {
		t.Errorf("%d token requests, want the first one only", n)
	}
}

// readyDetail is what /readyz says.
type readyDetail struct {
	Ready, Draining bool
	Configuration   struct{ Error string }

	UpstreamCertificate string `json:"upstream_certificate_error"`
}

func (l *live) readyz(t *testing.T) (int, readyDetail) {
	t.Helper()
	res, err := l.client.Get("http://" + l.Address("admin").String() + "/readyz")
	check(t, err)
	defer res.Body.Close()
	var d readyDetail
	check(t, json.NewDecoder(res.Body).Decode(&d))
	return res.StatusCode, d
}

// Whatever is wrong with a new configuration, the one before serves on, whole.
func TestWhatIsWrongKeepsTheConfigurationBefore(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer taken.Close()
	check(t, os.Mkdir(filepath.Join(l.dir, "folder"), 0o700))
	write(t, filepath.Join(l.dir, "text"), "no key")
	more := func(listener string) string { return liveListeners + "  - " + listener + "\n" }
	rest := func(from, to string) string { return strings.Replace(liveRest, from, to, 1) }
	before := l.Address("local").String()
	for i, c := range []struct {
		what, says string
		parts      []string
	}{
		{"half a file", "", []string{liveListeners, liveRules[:30]}},
		{"an unknown key", "", []string{liveListeners, liveRules, liveRest, "colour: red\n"}},
		{"an operation that is none", "", []string{liveListeners, strings.Replace(otherRules, "ListOrganizations", "ListPlanets", 1), liveRest}},
		{"a test that fails", "fails", []string{liveListeners, otherRules, liveRest, "tests: [{caller: \"anonymous:local\", operation: zitadel.user.v2.UserService/ListUsers, expect: allow}]\n"}},
		{"a key file that is not there", "absent.json", []string{liveListeners, otherRules, rest("key.json", "absent.json")}},
		{"a key file that is none", "text", []string{liveListeners, otherRules, rest("key.json", "text")}},
		{"a certificate that is not there", "absent.crt", []string{more(`{name: tls, address: "127.0.0.1:0", tls: {certificate_file: "$DIR/absent.crt", key_file: "$DIR/absent.key"}, callers: {anonymous: tls}}`), otherRules, liveRest}},
		{"an address that is taken", "in use", []string{more(fmt.Sprintf(`{name: taken, address: "%s", callers: {anonymous: taken}}`, taken.Addr())), otherRules, liveRest}},
		{"an audit log in no directory", "audit.file", []string{liveListeners, otherRules, rest("audit.jsonl", "nowhere/audit.jsonl")}},
		{"an audit log that is a directory", "audit.file", []string{liveListeners, otherRules, rest("audit.jsonl", "folder")}},
		{"an admin address that is taken", "in use", []string{liveListeners, otherRules, rest("127.0.0.1:0", taken.Addr().String())}},
	} {
		l.configure(t, c.parts...)
		err := l.Reload()
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if a, b := l.status(t, "local", listUsers), l.status(t, "local", listOrganizations); a != 200 || b != 403 || l.Address("local").String() != before {
			t.Errorf("%s: %d and %d at %s, the configuration before says 200 and 403 at %s", c.what, a, b, l.Address("local"), before)
		}
		code, detail := l.readyz(t)
		if code != http.StatusOK || detail.Configuration.Error != err.Error() {
			t.Errorf("%s: readiness is %d, %+v", c.what, code, detail)
		}
		if text := l.metrics(t); !strings.Contains(text, fmt.Sprintf("zproxy_configuration_reloads_total{result=\"failed\"} %d\n", i+1)) {
			t.Errorf("%s is not counted", c.what)
		}
		if !strings.Contains(l.log.String(), "reloading configuration refused") {
			t.Errorf("%s is not logged", c.what)
		}
	}
	l.configure(t, liveListeners, otherRules, liveRest)
	check(t, l.Reload())
	if code, detail := l.readyz(t); code != http.StatusOK || detail.Configuration.Error != "" {
		t.Errorf("after all is well: %d, %+v", code, detail)
	}
}

func (l *live) metrics(t *testing.T) string {
	t.Helper()
	res, err := l.client.Get("http://" + l.Address("admin").String() + "/metrics")
	check(t, err)
	defer res.Body.Close()
	return string(must(io.ReadAll(res.Body)))
}

// A file that changes is read once it looks the same twice; so is what a
// ConfigMap's link leads to.
func TestAChangeOfTheFileIsAReload(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	for _, version := range []struct{ name, rules string }{{"..one", otherRules}, {"..two", liveRules}} {
		check(t, os.Mkdir(filepath.Join(l.dir, version.name), 0o700))
		l.configure(t, liveListeners, version.rules, liveRest)
		check(t, os.Rename(l.file(), filepath.Join(l.dir, version.name, "zproxy.yaml")))
	}
	check(t, os.Symlink("..one", filepath.Join(l.dir, "..data")))
	check(t, os.Symlink("..data/zproxy.yaml", l.file()))
	eventually(t, "what the link leads to serves", func() bool { return l.status(t, "local", listOrganizations) == 200 })
	check(t, os.Symlink("..two", filepath.Join(l.dir, "..next")))
	check(t, os.Rename(filepath.Join(l.dir, "..next"), filepath.Join(l.dir, "..data")))
	eventually(t, "what the swapped link leads to serves", func() bool { return l.status(t, "local", listUsers) == 200 })
}

// What was wrong is read again when it is mended, whichever file it was.
func TestAMendedFileIsReadWithoutBeingAsked(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	l.configure(t, liveListeners, otherRules, strings.Replace(liveRest, "key.json", "late.json", 1))
	if err := l.Reload(); err == nil {
		t.Fatal("a key file that is not there is no fault")
	}
	key, err := os.ReadFile(filepath.Join(l.dir, "key.json"))
	check(t, err)
	write(t, filepath.Join(l.dir, "late.json"), string(key))
	eventually(t, "the new configuration serves", func() bool { return l.status(t, "local", listOrganizations) == 200 })
}
