package authn_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCallersHaveOneSpellingEach(t *testing.T) {
	for s, kind := range map[string]authn.Kind{
		"anonymous:local": authn.KindAnonymous, "unix:crm-2.a_b": authn.KindUnix, "dns:crm.acme.internal": authn.KindDNS,
		"spiffe://acme.internal/ns/Prod/crm_1": authn.KindSPIFFE, "dns:1.example": authn.KindDNS,
	} {
		c, err := authn.ParseCaller(s)
		check(t, err)
		if c.String() != s || c.Kind() != kind || c.IsZero() {
			t.Errorf("%s: %v %v", s, c, c.Kind())
		}
	}
	for _, s := range []string{
		"", "crm", "unix:", "unix:Crm", "unix:a b", "unix:" + strings.Repeat("a", 64), "anonymous:*", "Unix:crm", "user:crm",
		"dns:", "dns:A.example", "dns:a.example.", "dns:.a", "dns:a..b", "dns:-a.b", "dns:a-.b", "dns:a_b", "dns:*.a", "dns:10.0.0.1", "dns:é",
		"dns:" + strings.Repeat("a", 64), "dns:" + strings.Repeat("a.", 127) + "a",
		"spiffe://", "spiffe:///a", "spiffe://a", "spiffe://a/", "spiffe://A/b", "SPIFFE://a/b", "spiffe://a//b", "spiffe://a/b/", "spiffe://a/./b",
		"spiffe://a/../b", "spiffe://a/b?c", "spiffe://a/b#c", "spiffe://a:1/b", "spiffe://u@a/b", "spiffe://a/%62", "spiffe://a/b*", "spiffe://a/*",
		"spiffe://a/" + strings.Repeat("b", 2048),
	} {
		if c, err := authn.ParseCaller(s); err == nil || !c.IsZero() {
			t.Errorf("accepted %q", s)
		}
	}
}

func TestPatternMatchesWholeSegmentsOnly(t *testing.T) {
	for _, test := range []struct {
		pattern, caller string
		want            bool
	}{
		{"unix:crm", "unix:crm", true},
		{"unix:crm", "anonymous:crm", false},
		{"unix:crm", "unix:crm2", false},
		{"spiffe://a/*/crm", "spiffe://a/x/crm", true},
		{"spiffe://a/*/crm", "spiffe://a/x/y/crm", false},
		{"spiffe://a/*/crm", "spiffe://a/crm", false},
		{"spiffe://a/*", "spiffe://a/x", true},
		{"spiffe://a/*", "spiffe://a/x/y", false},
		{"spiffe://a/*", "spiffe://ab/x", false},
		{"spiffe://a/*/*", "spiffe://a/x/y", true},
	} {
		p, err := authn.ParseCallerPattern(test.pattern)
		check(t, err)
		c, err := authn.ParseCaller(test.caller)
		check(t, err)
		if p.Match(c) != test.want {
			t.Errorf("%s matches %s: %v", p, c, !test.want)
		}
		if only, ok := p.Caller(); ok == strings.Contains(test.pattern, "*") || ok && only.String() != test.pattern {
			t.Errorf("%s: caller %v %v", p, only, ok)
		}
	}
	for _, s := range []string{"*", "unix:*", "dns:*.a", "spiffe://*/a", "spiffe://a/b*", "spiffe://a/**", "spiffe://a/*/"} {
		if _, err := authn.ParseCallerPattern(s); err == nil {
			t.Errorf("accepted %q", s)
		}
	}
}

func TestNobodyMatchesNothing(t *testing.T) {
	var nobody authn.Caller
	var none authn.Pattern
	all, err := authn.ParseCallerPattern("spiffe://a/*")
	check(t, err)
	if none.Match(nobody) || all.Match(nobody) {
		t.Error("nobody matched")
	}
	if crm, err := authn.Unix("crm"); err != nil || none.Match(crm) {
		t.Errorf("the zero pattern matched %v (%v)", crm, err)
	}
}

func FuzzParsingIsTheInverseOfPrinting(f *testing.F) {
	for _, s := range []string{"unix:crm", "anonymous:a", "dns:a.b", "spiffe://a/b/c", "spiffe://a/*/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := authn.ParseCallerPattern(s)
		if err == nil && p.String() != s {
			t.Fatalf("%q printed as %q", s, p)
		}
		c, callerErr := authn.ParseCaller(s)
		if callerErr != nil {
			return
		}
		if c.String() != s || err != nil || !p.Match(c) {
			t.Fatalf("%q: caller %q, pattern %q (%v)", s, c, p, err)
		}
	})
}

func ExampleParseCallerPattern() {
	p, _ := authn.ParseCallerPattern("spiffe://acme.internal/*/crm")
	for _, s := range []string{"spiffe://acme.internal/prod/crm", "spiffe://acme.internal/prod/eu/crm"} {
		c, _ := authn.ParseCaller(s)
		fmt.Println(c, p.Match(c))
	}
	// Output:
	// spiffe://acme.internal/prod/crm true
	// spiffe://acme.internal/prod/eu/crm false
}
