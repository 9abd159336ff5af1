package gateway

import (
	"time"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/role"
)

// checkEnds tells of rules that allow nothing any more.
func checkEnds(cfg *config.Config, now time.Time) []Finding {
	var out []Finding
	for _, r := range cfg.Rules {
		if !r.Until.IsZero() && !now.Before(r.Until) {
			out = append(out, Finding{Level: Warning, About: "rule " + r.Name, Message: "it ended at " + r.Until.UTC().Format(time.RFC3339) + " and allows nothing; remove it, or give it a later end"})
		}
	}
	return out
}

// checkTargets tells of operations whose targets ZITADEL does not keep within
// the organization in which the service user holds its role, and of those that
// it checks in the organization of a header which rules do not send.
func checkTargets(rules *policy.Policy) []Finding {
	var out []Finding
	for _, user := range rules.RequiredServiceUsers() {
		var unbound, unlimited, unsent []string
		for _, s := range rules.Services(user) {
			need, ok := role.Lookup(s.Operation.Name)
			switch {
			case !ok || !need.Unbound || !s.Bare:
			case s.Within != nil:
				unlimited = append(unlimited, string(s.Operation.Name))
			default:
				unbound = append(unbound, string(s.Operation.Name))
			}
			if ok && need.OrgContext && s.Within == nil {
				unsent = append(unsent, string(s.Operation.Name))
			}
		}
		if len(unbound) > 0 {
			out = append(out, Finding{Level: Warning, About: "service user " + user, Operations: unbound,
				Message: "with a role in any organization it reaches the targets of all by " + some(unbound) + "; name the targets in a condition, or keep the rules within organizations where requests can name one"})
		}
		if len(unlimited) > 0 {
			out = append(out, Finding{Level: Warning, About: "service user " + user, Operations: unlimited,
				Message: "with a role in any organization it reaches the targets of all by " + some(unlimited) + ", whatever the organizations of the rules; only a condition that names the targets helps"})
		}
		if len(unsent) > 0 {
			out = append(out, Finding{Level: OK, About: "service user " + user, Operations: unsent,
				Message: "it needs its role in its own organization for " + some(unsent) + ", where rules send no x-zitadel-orgid; organizations: [<id>] sends one"})
		}
	}
	return out
}
