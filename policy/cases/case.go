package cases

import (
	"fmt"
	"strings"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// Case is a request and what must be decided on it. What is "" is not compared.
type Case struct {
	Name    string
	Request Request
	Allow   bool
	Rule    string
	As      string
	Reason  string
	Shadow  string
}

// Check says in one sentence how the decision differs from what the case
// expects; "" if it does not.
func (c Case) Check(catalogue *operation.Catalogue, p *policy.Policy) (string, error) {
	d, err := c.Request.Decide(catalogue, p)
	if err != nil {
		return "", err
	}
	if (d.Effect == policy.Allow) != c.Allow {
		return fmt.Sprintf("%s is expected, and the rules %s", effect(c.Allow), says(d)), nil
	}
	var differ []string
	for _, compared := range [...]struct{ what, want, got string }{
		{"rule", c.Rule, d.Rule}, {"as", c.As, d.As}, {"reason", c.Reason, string(d.Reason)}, {"shadow", c.Shadow, d.Shadow},
	} {
		if compared.want != "" && compared.want != compared.got {
			differ = append(differ, fmt.Sprintf("%s is expected to be %s and is %s", compared.what, compared.want, orNone(compared.got)))
		}
	}
	return strings.Join(differ, "; "), nil
}

func effect(allow bool) string {
	if allow {
		return "allow"
	}
	return "deny"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// says is a decision as the end of a sentence.
func says(d policy.Decision) string {
	if d.Effect == policy.Allow {
		return fmt.Sprintf("allow it, by rule %s, as %s", d.Rule, d.As)
	}
	text := fmt.Sprintf("deny it (%s)", d.Reason)
	if d.Rule != "" {
		text += ", nearest is rule " + d.Rule
	}
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	return text
}
