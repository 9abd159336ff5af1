package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/cases"
	"github.com/zproxy/zproxy/proxy"
)

// decide asks the rules, after what is refused whatever they say.
func (q question) decide(w io.Writer, cfg *config.Config, rules *policy.Policy, caller authn.Caller, s *cases.Subject, unreadable bool) policy.Decision {
	ids, unknown := gateway.OwnUserIDs(cfg)
	s.Facts.OwnServiceUser = proxy.Mentions(s.Operation, &s.Resolved, []byte(q.body), ids)
	if looks, _ := rules.Looks(caller, s.Operation); unreadable && looks {
		return policy.Decision{Reason: policy.ReasonUnreadable, RuleIndex: -1}
	}
	d := rules.Decide(caller, s.Operation, s.Facts)
	if d.Effect == policy.Allow && s.Operation.Changes && s.Operation.NamesUser && len(unknown) > 0 {
		fmt.Fprintf(w, "note        it is refused if it mentions the user id of %s, which no file tells here\n", strings.Join(unknown, " or "))
	}
	return d
}

func explainDecision(w io.Writer, rules *policy.Policy, d policy.Decision, caller authn.Caller, s cases.Subject, q question) error {
	considered := rules.Explain(caller, s.Operation, s.Facts)
	depends := d.Effect != policy.Allow && d.RuleIndex >= 0 && slices.ContainsFunc(considered, func(c policy.Consideration) bool { return c.Depends && !c.Shadow })
	switch {
	case d.Effect == policy.Allow:
		fmt.Fprintf(w, "decision    allow, by rule %s, as %s\n", d.Rule, d.As)
		explainOrganization(w, d, q)
	case depends:
		fmt.Fprintf(w, "decision    depends on the request, which rules look into\n")
	default:
		fmt.Fprintf(w, "decision    deny (%s)\n", d.Reason)
	}
	explainHeaders(w, d, s, q)
	if d.Shadow != "" {
		fmt.Fprintf(w, "shadow      rule %s would allow it\n", d.Shadow)
	}
	fmt.Fprintln(w)
	if err := printConsidered(w, considered); err != nil {
		return err
	}
	switch {
	case d.Effect == policy.Allow:
		return nil
	case depends:
		return &failure{exitFailed, `give it with --body '{"organizationId": "..."}'`, errors.New("what would be decided depends on the request message")}
	}
	if change := rules.Change(caller, s.Operation, s.Facts); change != "" {
		fmt.Fprintf(w, "\nto allow it, %s\n", change)
	}
	return &failure{exitFailed, "", errors.New("the request would be refused")}
}

func printConsidered(w io.Writer, considered []policy.Consideration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range considered {
		mark := "no"
		switch {
		case c.Decides:
			mark = "decides"
		case c.Depends:
			mark = "depends"
		case c.Allows && c.Shadow:
			mark = "shadow"
		case c.Allows:
			mark = "too late"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", c.Rule, mark, c.Because)
	}
	return t.Flush()
}
