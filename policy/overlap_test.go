package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/policy"
)

func until(day int) func(*policy.Rule) {
	return func(r *policy.Rule) { r.Until = time.Date(2026, 4, day, 0, 0, 0, 0, time.UTC) }
}

// A rule is said never to decide if, and only if, no request comes to it.
func TestRulesThatAskTheSameOrLessTakeAll(t *testing.T) {
	const many, upwards = "request.query.limit > 1u", "request.query.asc"
	type asks = []func(*policy.Rule)
	c := newCatalogue()
	var requests []policy.Facts
	for _, body := range []string{
		users(acme), users(other), `{}`, `{"query":{"limit":2},` + users(acme)[1:], `{"query":{"asc":true},` + users(acme)[1:], `{"query":{"limit":2,"asc":true},` + users(other)[1:],
	} {
		for _, day := range []int{1, 3, 5} {
			f := facts(t, listUsers, body)
			f.Now = time.Date(2026, 4, day, 0, 0, 0, 0, time.UTC)
			requests = append(requests, f, fromOrganization(f, other))
		}
	}
	for name, g := range map[string]struct {
		first, later asks
		takes        bool
	}{
		"nothing":                      {nil, nil, true},
		"nothing, before something":    {nil, asks{within(acme), when(many), until(2)}, true},
		"the same organization":        {asks{within(acme)}, asks{within(acme)}, true},
		"more organizations":           {asks{within(acme, other)}, asks{within(other)}, true},
		"fewer organizations":          {asks{within(acme)}, asks{within(acme, other)}, false},
		"an organization":              {asks{within(acme)}, nil, false},
		"an organization, before any":  {asks{within(acme)}, asks{within("*")}, false},
		"any organization":             {asks{within("*")}, asks{within(acme)}, true},
		"the same condition":           {asks{when(many)}, asks{when(many), within(acme)}, true},
		"another condition":            {asks{when(many)}, asks{when(upwards)}, false},
		"a condition":                  {asks{when(many)}, nil, false},
		"the same end":                 {asks{until(4)}, asks{until(4), when(many)}, true},
		"a later end":                  {asks{until(4)}, asks{until(2)}, true},
		"an earlier end":               {asks{until(2)}, asks{until(4)}, false},
		"an end":                       {asks{until(2)}, nil, false},
		"all of it":                    {asks{within(acme), when(many), until(4)}, asks{within(acme), when(many), until(4)}, true},
		"an organization without pins": {asks{within(acme), when(many)}, asks{when(many)}, false},
	} {
		p := compile(t, c, rule("first", []string{crm}, []string{listUsers}, g.first...), rule("later", []string{crm}, []string{listUsers}, append(g.later, as("another"))...))
		comes := false
		for _, f := range requests {
			comes = comes || p.Decide(caller(crm), c.named(listUsers), f).As == "another"
		}
		never := false
		for _, w := range p.Warnings() {
			never = never || w.Rule == "later" && strings.HasPrefix(w.Message, "it never decides")
		}
		if comes == g.takes || never != g.takes {
			t.Errorf("%s: a request comes to the later rule: %t, it is said never to decide: %t", name, comes, never)
		}
		p = compile(t, c, rule("first", []string{crm}, []string{listUsers}, g.first...), rule("later", []string{crm}, []string{listUsers, getUser}, append(g.later, as("another"))...))
		overlaps := false
		for _, w := range p.Warnings() {
			overlaps = overlaps || w.Rule == "later" && strings.HasPrefix(w.Message, "it overlaps with rule first")
		}
		if overlaps != g.takes {
			t.Errorf("%s: it is said to overlap: %t", name, overlaps)
		}
	}
}
