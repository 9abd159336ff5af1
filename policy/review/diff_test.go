package review_test

import (
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/review"
)

const (
	list = "zitadel.user.v2.UserService/ListUsers"
	get  = "zitadel.user.v2.UserService/GetUserByID"
)

func compile(t testing.TB, unlisted []operation.Name, rules ...policy.Rule) *policy.Policy {
	t.Helper()
	c, err := operation.Default()
	if err == nil {
		c, err = c.WithUnlisted(unlisted...)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(c, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rule(callers, operations string, change ...func(*policy.Rule)) policy.Rule {
	r := policy.Rule{Name: "r" + callers + operations, Callers: strings.Fields(callers), Operations: strings.Fields(operations), As: "reader"}
	for _, f := range change {
		f(&r)
	}
	return r
}

func within(ids ...string) func(*policy.Rule) { return func(r *policy.Rule) { r.Organizations = ids } }
func when(text string) func(*policy.Rule)     { return func(r *policy.Rule) { r.When = text } }
func until(day int) func(*policy.Rule) {
	return func(r *policy.Rule) { r.Until = time.Date(2026, 4, day, 0, 0, 0, 0, time.UTC) }
}
func writer(r *policy.Rule) { r.As = "writer" }
func dark(r *policy.Rule)   { r.Shadow = true }
func named(name string) func(*policy.Rule) {
	return func(r *policy.Rule) { r.Name = name }
}

// written is changes in short: "unix:a ListUsers +-".
func written(changes []review.Change) string {
	var all []string
	for _, c := range changes {
		text := c.Caller + " " + string(c.Operation[strings.LastIndexByte(string(c.Operation), '/')+1:]) + " "
		if c.Gains {
			text += "+"
		}
		if c.Loses {
			text += "-"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func TestChangesAreGainsLossesOrBoth(t *testing.T) {
	type rules = []policy.Rule
	a := "unix:a"
	for name, c := range map[string]struct {
		before, after rules
		want          string
	}{
		"nothing":                      {rules{rule(a, list)}, rules{rule(a, list, named("renamed"))}, ""},
		"an operation more":            {rules{rule(a, list)}, rules{rule(a, list+" "+get)}, "unix:a GetUserByID +"},
		"an operation less":            {rules{rule(a, list+" "+get)}, rules{rule(a, list)}, "unix:a GetUserByID -"},
		"a caller more":                {rules{rule(a, list)}, rules{rule(a+" unix:b", list)}, "unix:b ListUsers +"},
		"another service user":         {rules{rule(a, list)}, rules{rule(a, list, writer)}, "unix:a ListUsers +-"},
		"organizations added":          {rules{rule(a, list)}, rules{rule(a, list, within("1"))}, "unix:a ListUsers +-"},
		"one organization more":        {rules{rule(a, list, within("1"))}, rules{rule(a, list, within("1", "2"))}, "unix:a ListUsers +"},
		"one organization less":        {rules{rule(a, list, within("1", "2"))}, rules{rule(a, list, within("2"))}, "unix:a ListUsers -"},
		"any organization":             {rules{rule(a, list, within("1"))}, rules{rule(a, list, within("*"))}, "unix:a ListUsers +"},
		"a condition added":            {rules{rule(a, list)}, rules{rule(a, list, when("true"))}, "unix:a ListUsers -"},
		"a condition taken away":       {rules{rule(a, list, when("true"))}, rules{rule(a, list)}, "unix:a ListUsers +"},
		"another condition":            {rules{rule(a, list, when("true"))}, rules{rule(a, list, when("false"))}, "unix:a ListUsers +-"},
		"an end":                       {rules{rule(a, list)}, rules{rule(a, list, until(1))}, "unix:a ListUsers -"},
		"a later end":                  {rules{rule(a, list, until(1))}, rules{rule(a, list, until(2))}, "unix:a ListUsers +"},
		"a rule turned into a shadow":  {rules{rule(a, list)}, rules{rule(a, list, dark)}, "unix:a ListUsers -"},
		"a pattern that covers":        {rules{rule("spiffe://x/hr/* spiffe://x/hr/a", list)}, rules{rule("spiffe://x/hr/*", list)}, ""},
		"one of a pattern's callers":   {rules{rule("spiffe://x/hr/*", list)}, rules{rule("spiffe://x/hr/a", list)}, "spiffe://x/hr/* ListUsers -"},
		"a second rule that is within": {rules{rule(a, list)}, rules{rule(a, list, when("true"), named("first")), rule(a, list)}, ""},
		"the order of service users": {
			rules{rule(a, list, when("true"), named("first")), rule(a, list, writer)}, rules{rule(a, list, writer, named("first")), rule(a, list, when("true"))}, "unix:a ListUsers +-"},
		"the first service user of two taken away": {rules{rule(a, list, when("true"), named("first")), rule(a, list, writer)}, rules{rule(a, list, writer)}, "unix:a ListUsers +-"},
		"the last service user of two taken away":  {rules{rule(a, list, when("true"), named("first")), rule(a, list, writer)}, rules{rule(a, list, when("true"))}, "unix:a ListUsers -"},
		"the order of organizations": {
			rules{rule(a, list, within("1"), when("true"), named("first")), rule(a, list, within("2"))}, rules{rule(a, list, within("2"), named("first")), rule(a, list, within("1"), when("true"))}, ""},
		"the order of conditions": {
			rules{rule(a, list, when("true"), named("first")), rule(a, list, when("false"))}, rules{rule(a, list, when("false"), named("first")), rule(a, list, when("true"))}, ""},
		"one of two organizations taken away": {
			rules{rule(a, list, within("1"), named("first")), rule(a, list, within("2"), writer)}, rules{rule(a, list, within("2"), writer)}, "unix:a ListUsers -"},
		"one of two that have an organization in common": {
			rules{rule(a, list, within("1", "2"), named("first")), rule(a, list, within("2"), writer)}, rules{rule(a, list, within("2"), writer)}, "unix:a ListUsers +-"},
		"another one before two": {
			rules{rule(a, list, when("true"), named("first")), rule(a, list, writer)}, rules{rule(a, list, when("true"), named("first")), rule(a, list, when("false"), writer, named("second")), rule(a, list, writer)}, ""},
		"the order of patterns that meet": {
			rules{rule("spiffe://x/*/b", list), rule("spiffe://x/a/*", list, writer)}, rules{rule("spiffe://x/a/*", list, writer), rule("spiffe://x/*/b", list)}, "spiffe://x/a/b ListUsers +-"},
		"the order of three patterns": {
			rules{rule("spiffe://x/a/*/*", list), rule("spiffe://x/*/b/*", list), rule("spiffe://x/*/*/c", list, writer)},
			rules{rule("spiffe://x/a/*/*", list), rule("spiffe://x/*/*/c", list, writer), rule("spiffe://x/*/b/*", list)}, "spiffe://x/*/b/c ListUsers +-"},
		"what patterns that meet have in common": {
			rules{rule("spiffe://x/*/b", list), rule("spiffe://x/a/*", get)}, rules{rule("spiffe://x/*/b", list+" "+get), rule("spiffe://x/a/*", get)}, "spiffe://x/*/b GetUserByID +"},
		"all of it": {rules{rule(a, list)}, nil, "unix:a ListUsers -"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := written(review.Diff(compile(t, nil, c.before...), compile(t, nil, c.after...))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestUnlistedOperationsAreComparedByName(t *testing.T) {
	const future = "zitadel.user.v2.UserService/Future"
	before := compile(t, []operation.Name{future}, rule("unix:a", future))
	if got := written(review.Diff(before, compile(t, nil, rule("unix:a", list)))); got != "unix:a Future -, unix:a ListUsers +" {
		t.Errorf("got %q", got)
	}
	if got := written(review.Diff(before, compile(t, []operation.Name{"zitadel.user.v2.UserService/Other", future}, rule("unix:a", future)))); got != "" {
		t.Errorf("got %q", got)
	}
	if got := written(review.Diff(nil, before)); got != "unix:a Future +" {
		t.Errorf("from nothing: %q", got)
	}
}
