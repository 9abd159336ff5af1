package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/cases"
	"github.com/zproxy/zproxy/proxy"
)

// explainOrganization says what becomes of x-zitadel-orgid in a request that is allowed.
func explainOrganization(w io.Writer, d policy.Decision, q question) {
	switch {
	case d.Organization != "":
		fmt.Fprintf(w, "header      x-zitadel-orgid: %s, set by the rule\n", d.Organization)
	case d.PassOrganization && q.organization != "":
		fmt.Fprintf(w, "header      x-zitadel-orgid: %s, passed by the rule\n", q.organization)
	case q.organization != "":
		fmt.Fprintln(w, "header      x-zitadel-orgid is dropped: the rule has no organizations")
	}
}

// explainHeaders says what becomes of the headers asked about, allowed or not.
func explainHeaders(w io.Writer, d policy.Decision, s cases.Subject, q question) {
	for _, given := range q.headers {
		name, _, _ := strings.Cut(given, ":")
		fmt.Fprintf(w, "header      %s %s\n", strings.TrimSpace(name), becomes(name, d, s, q))
	}
}

func becomes(name string, d policy.Decision, s cases.Subject, q question) string {
	const passes, dropped = "passes", "is dropped"
	switch name := http.CanonicalHeaderKey(strings.TrimSpace(name)); {
	case proxy.RefusesHeader(name):
		return "is refused, and the request with it"
	case name == "X-Zitadel-Orgid" && d.Organization != "":
		return "may name one of the rule's organizations"
	case name == "X-Zitadel-Orgid" && d.PassOrganization, name == "Authorization" && d.As == policy.AsCaller, q.extra.Passes(name, s.Resolved.Protocol):
		return passes
	}
	return dropped
}
