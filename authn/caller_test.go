package authn_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

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
		"jwt:cluster/system:serviceaccount:crm:default": authn.KindJWT, "jwt:a.b_c-1/spiffe://acme.internal/crm": authn.KindJWT,
		"jwt:ci/repo:acme/app:ref:refs/heads/main": authn.KindJWT, "jwt:x/auth0|{\"%}\\~": authn.KindJWT, "jwt:x//": authn.KindJWT, "jwt:x/dns:a": authn.KindJWT,
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
		"jwt:", "jwt:cluster", "jwt:cluster/", "jwt:/a", "jwt:Cluster/a", "jwt:*/a", "jwt:a:b/c", "jwt:a b/c", "jwt:" + strings.Repeat("a", 64) + "/a", "JWT:a/b", "jwt://a",
		"jwt:a/b c", "jwt:a/b\n", "jwt:a/\x00", "jwt:a/b\x7f", "jwt:a/é", "jwt:a/\xff", "jwt:a/*", "jwt:a/b*c", "jwt:a/b:*", "jwt:a/" + strings.Repeat("b", 257),
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
		{"jwt:k/system:serviceaccount:crm:*", "jwt:k/system:serviceaccount:crm:default", true},
		{"jwt:k/system:serviceaccount:crm:*", "jwt:k/system:serviceaccount:crm:", false},
		{"jwt:k/system:serviceaccount:crm:*", "jwt:k/system:serviceaccount:crm:a:b", false},
		{"jwt:k/system:serviceaccount:crm:*", "jwt:k/system:serviceaccount:crm:a/b", false},
		{"jwt:k/system:serviceaccount:crm:*", "jwt:k/system:serviceaccount:crm2:a", false},
		{"jwt:k/system:serviceaccount:crm:*", "jwt:k2/system:serviceaccount:crm:a", false},
		{"jwt:k/system:serviceaccount:*:crm", "jwt:k/system:serviceaccount:a:crm", true},
		{"jwt:k/system:serviceaccount:*:crm", "jwt:k/system:serviceaccount::crm", false},
		{"jwt:k/system:serviceaccount:*:crm", "jwt:k/system:serviceaccount/a:crm", false},
		{"jwt:k/system:serviceaccount:*:crm", "jwt:k/system:serviceaccount:a/crm", false},
		{"jwt:ci/repo:acme/*:ref:refs/heads/main", "jwt:ci/repo:acme/app:ref:refs/heads/main", true},
		{"jwt:ci/repo:acme/*:ref:refs/heads/main", "jwt:ci/repo:acme/app:environment:refs/heads/main", false},
		{"jwt:k/*", "jwt:k/a", true},
		{"jwt:k/*", "jwt:k/a/", false},
		{"jwt:k/*", "spiffe://k/a", false},
		{"jwt:x/*", "dns:x", false},
		{"jwt:unix/*", "unix:x", false},
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
	for _, s := range []string{"*", "unix:*", "dns:*.a", "spiffe://*/a", "spiffe://a/b*", "spiffe://a/**", "spiffe://a/*/",
		"jwt:*/a", "jwt:*", "jwt:k/a*", "jwt:k/*a:b", "jwt:k/**", "jwt:k*/a"} {
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
	for _, s := range []string{"unix:crm", "anonymous:a", "dns:a.b", "spiffe://a/b/c", "spiffe://a/*/c", "jwt:a/b:c/d", "jwt:a/b:*/d"} {
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

// A caller is drawn by filling the stars of one pattern, or of another.
func TestWhatCoversMatchesAllAndWhatMeetsHasSomeInCommon(t *testing.T) {
	parts := rapid.SampledFrom([]string{"*", "a", "b", ""})
	draw := func(t *rapid.T, name string, parts *rapid.Generator[string]) string {
		s := rapid.SampledFrom([]string{"spiffe://d/", "jwt:d/", "jwt:e/"}).Draw(t, name)
		for i := range rapid.IntRange(1, 3).Draw(t, name) {
			if i > 0 {
				s += rapid.SampledFrom([]string{"/", ":"}).Draw(t, name)
			}
			s += parts.Draw(t, name)
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		p, errP := authn.ParseCallerPattern(draw(t, "p", parts))
		q, errQ := authn.ParseCallerPattern(draw(t, "q", parts))
		if errP != nil || errQ != nil {
			t.SkipNow()
		}
		both, ok := p.Common(q)
		if read, err := authn.ParseCallerPattern(both.String()); ok != p.Meets(q) || ok && (err != nil || read != both) {
			t.Fatalf("%s and %s have %q in common, read as %q (%v)", p, q, both, read, err)
		}
		common, only := 0, 0
		for _, fill := range strings.Fields("aa ab ac ba bb bc ca cb cc") {
			for _, pattern := range []string{p.String(), q.String()} {
				s := strings.Replace(strings.Replace(pattern, "*", fill[:1], 1), "*", fill[1:], 1)
				c, err := authn.ParseCaller(strings.ReplaceAll(s, "*", "c"))
				if err != nil {
					t.Fatal(err)
				}
				if both.Match(c) != (p.Match(c) && q.Match(c)) {
					t.Errorf("%s and %s: %s of %s", p, q, both, c)
				}
				if p.Match(c) && q.Match(c) {
					common++
				} else if q.Match(c) {
					only++
				}
			}
		}
		if p.Covers(q) != (only == 0) || p.Meets(q) != (common > 0) || p.Meets(q) != q.Meets(p) {
			t.Errorf("%s and %s: covers %v, meets %v; %d in common, %d of the second only", p, q, p.Covers(q), p.Meets(q), common, only)
		}
	})
	var none authn.Pattern
	if some, err := authn.ParseCallerPattern("jwt:k/*"); err != nil || none.Covers(none) || none.Meets(some) || some.Covers(none) {
		t.Error("the zero pattern has callers")
	}
}

func TestSubjectsOfIssuersMakeCallers(t *testing.T) {
	c, err := authn.JWT("cluster", "system:serviceaccount:crm:default")
	check(t, err)
	if c.String() != "jwt:cluster/system:serviceaccount:crm:default" || c.Kind() != authn.KindJWT {
		t.Errorf("%s", c)
	}
	for _, subject := range []string{"", "a b", "*", "é"} {
		if c, err := authn.JWT("cluster", subject); err == nil || !c.IsZero() {
			t.Errorf("accepted %q", subject)
		}
	}
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

func TestOnlySPIFFEIDsHaveATrustDomain(t *testing.T) {
	for name, want := range map[string]string{
		"spiffe://acme.internal/crm": "acme.internal", "spiffe://a/b/c": "a",
		"dns:acme.internal": "", "unix:crm": "", "anonymous:local": "",
	} {
		c, err := authn.ParseCaller(name)
		if err != nil || c.TrustDomain() != want {
			t.Errorf("%s is of %q (%v), want %q", name, c.TrustDomain(), err, want)
		}
	}
	if (authn.Caller{}).TrustDomain() != "" {
		t.Error("nobody has a trust domain")
	}
}
