package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/policy"
)

// Level says what a finding of [Check] means.
type Level string

// The levels of findings.
const (
	OK      Level = "ok"
	Warning Level = "warning" // works, and is hardly meant
	Fault   Level = "fault"   // zproxy cannot serve as configured
)

// Finding is one sentence about the configuration, with its fix where there is one.
type Finding struct {
	Level   Level  `json:"level"`
	About   string `json:"about"` // "rule crm-reads-users", "service user reader"
	Message string `json:"message"`
	// Operations are all that the message speaks of, where it names some only.
	Operations []string `json:"operations,omitempty"`
}

// CheckOptions say what to check besides the configuration itself.
type CheckOptions struct {
	Offline bool // ask ZITADEL nothing
	// Known are the operations that an older build knew; nil for no comparison.
	Known []string
}

// Check reads every file that cfg names and, unless offline, gets a token for
// each service user and makes harmless calls with it. Findings come in the
// order of the configuration. The error tells of rules that do not compile.
func Check(ctx context.Context, cfg *config.Config, options CheckOptions) ([]Finding, error) {
	catalogue, rules, err := Rules(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	findings := append(checkRules(cfg, rules), grown(rules, options.Known)...)
	findings = append(append(findings, checkEnds(cfg, time.Now())...), checkTargets(rules)...)
	trust, _, err := upstreamTLS(cfg.Upstream)
	if err != nil {
		findings = append(findings, Finding{Level: Fault, About: "upstream", Message: err.Error()})
	}
	findings = append(findings, checkTLS(ctx, cfg, options.Offline)...)
	findings = append(findings, checkIssuers(ctx, cfg, options.Offline)...)
	caller := checker{cfg: cfg, catalogue: catalogue, rules: rules, ask: asker(cfg, trust)}
	if !options.Offline {
		findings = append(findings, caller.discovery(ctx))
	}
	for _, u := range cfg.ServiceUsers {
		source, err := newSource(cfg, u, trust, nil)
		switch {
		case err != nil:
			findings = append(findings, Finding{Level: Fault, About: "service user " + u.Name, Message: err.Error()})
		case options.Offline:
			findings = append(findings, Finding{Level: OK, About: "service user " + u.Name, Message: "its credential can be read"})
		default:
			findings = append(findings, caller.try(ctx, u, source)...)
		}
	}
	if !options.Offline {
		findings = append(findings, caller.drift(ctx)...)
	}
	return findings, nil
}

// grown tells what wildcards cover that an older build did not know.
func grown(rules *policy.Policy, known []string) []Finding {
	if known == nil {
		return nil
	}
	var out []Finding
	for _, w := range rules.Wildcards() {
		var since []string
		for _, op := range w.Covers {
			if !slices.Contains(known, string(op.Name)) {
				since = append(since, string(op.Name))
			}
		}
		if len(since) > 0 {
			out = append(out, Finding{Level: Warning, About: "rule " + w.Rule, Operations: since,
				Message: "its wildcards cover operations that the older build did not know: " + some(since)})
		}
	}
	return out
}

// checkRules tells what compiles and is hardly meant.
func checkRules(cfg *config.Config, rules *policy.Policy) []Finding {
	var out []Finding
	for _, w := range rules.Warnings() {
		out = append(out, Finding{Level: Warning, About: "rule " + w.Rule, Message: w.Message})
	}
	out = append(out, checkCallers(cfg)...)
	used := rules.RequiredServiceUsers()
	for _, u := range cfg.ServiceUsers {
		if !slices.Contains(used, u.Name) {
			out = append(out, Finding{Level: Warning, About: "service user " + u.Name, Message: "no rule serves as it; remove it, and its credential with it"})
		}
	}
	return out
}
