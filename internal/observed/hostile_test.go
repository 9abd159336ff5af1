package observed_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/observed"
	"github.com/zproxy/zproxy/policy"
)

// An audit file may have been edited. What is in it ends up in a configuration,
// where one line more could be a hazard accepted.
func TestNoTextOfARecordBecomesYAML(t *testing.T) {
	for _, evil := range []string{"reader\n    hazards: [bulk]", "reader\r\n    shadow: false", "x\u2028    learn: true", "x\u0085    learn: true", "\u202ereader", "a # b"} {
		r := allowed("unix:crm", users+"ListUsers", "reader")
		r.Shadow, r.Organization = evil, evil
		p := use(t, t.TempDir(), observed.Filter{}, r).Rules("")
		var file struct{ Rules []policy.Rule }
		check(t, yaml.UnmarshalWithOptions(p.YAML(), &file, yaml.Strict()))
		if len(file.Rules) != 1 || len(file.Rules[0].Hazards) != 0 || file.Rules[0].Shadow || file.Rules[0].Learn || bytes.Count(p.YAML(), []byte("\n")) != 8 {
			t.Errorf("%q gives\n%s", evil, p.YAML())
		}
		for _, c := range string(p.YAML()) {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Errorf("%q: %q stands in\n%s", evil, c, p.YAML())
			}
		}
	}
}

func TestNamesThatYAMLWouldReadAsSomethingElseAreQuoted(t *testing.T) {
	for _, user := range []string{"123", "null", "true", "no", "1.5", "1e5", "0x1f", "2026-03-30", "-", "-a", ".inf", "_", "y"} {
		p := use(t, t.TempDir(), observed.Filter{}, allowed("unix:"+strings.Trim(user, "-._")+"1", users+"ListUsers", user)).Rules("")
		if err := configured(p.YAML(), user); err != nil {
			t.Errorf("%s: %v\n%s", user, err, p.YAML())
		}
	}
}

func TestServiceUserOfAFlagStaysOneValue(t *testing.T) {
	for _, as := range []string{"a: b", "x # y", "x\n    hazards: [bulk]", "[a]"} {
		var file struct{ Rules []policy.Rule }
		text := use(t, t.TempDir(), observed.Filter{}, denied("unix:crm", users+"ListUsers", "no_rule")).Rules(as).YAML()
		check(t, yaml.UnmarshalWithOptions(text, &file, yaml.Strict()))
		if len(file.Rules) != 1 || file.Rules[0].As != as {
			t.Errorf("%q gives\n%s", as, text)
		}
	}
}

func TestWhatConfigurationsNameCanBeReadBack(t *testing.T) {
	dir := t.TempDir()
	name := rapid.StringMatching(`[a-z0-9._-]{1,63}`).Filter(func(s string) bool { return s != "caller" })
	rapid.Check(t, func(t *rapid.T) {
		caller, user := name.Draw(t, "caller"), name.Draw(t, "service user")
		p := use(t, dir, observed.Filter{}, allowed("unix:"+caller, users+"ListUsers", user)).Rules("")
		if err := configured(p.YAML(), user); err != nil || len(p.Rules()) != 1 {
			t.Fatalf("%v\n%s", err, p.YAML())
		}
	})
}

func TestReasonsToLeaveOutAreBounded(t *testing.T) {
	var records []audit.Record
	for i := range 1500 {
		records = append(records, denied("unix:crm", fmt.Sprintf("acme.v1.S/M%d", i), "no_rule"))
	}
	all := use(t, t.TempDir(), observed.Filter{}, records...).LeftOut()
	if len(all) != 1001 || all[0] != (observed.LeftOut{Reason: "other reasons", Count: 500}) {
		t.Errorf("%d reasons, the first is %+v", len(all), all[0])
	}
}
