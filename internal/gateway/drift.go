package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// drift compares the catalogue with what the server offers.
func (c *checker) drift(ctx context.Context) []Finding {
	const about = "catalogue"
	if c.token == nil {
		return []Finding{{Level: Warning, About: about, Message: "it is not compared with the server, for no service user has a token that may ask"}}
	}
	offered, err := c.ask.Methods(ctx, c.token.Authorization)
	if err != nil {
		return []Finding{{Level: Warning, About: about, Message: "it cannot be compared with the server: " + err.Error()}}
	}
	var unknown, lacking, used []string
	for _, name := range offered {
		if _, ok := c.catalogue.Lookup(operation.Name(name)); !ok && strings.HasPrefix(name, "zitadel.") {
			unknown = append(unknown, name)
		}
	}
	for _, op := range c.catalogue.Operations() {
		name := string(op.Name)
		if !strings.HasPrefix(name, "zitadel.") || slices.Contains(offered, name) {
			continue
		}
		lacking = append(lacking, name)
		if c.used(op) {
			used = append(used, name)
		}
	}
	var out []Finding
	if len(used) > 0 {
		out = append(out, Finding{Level: Warning, About: about, Operations: used, Message: "rules name operations that the server does not have: " + some(used)})
	}
	if len(lacking) > 0 {
		out = append(out, Finding{Level: OK, About: about, Operations: lacking, Message: fmt.Sprintf("the server lacks %d operations that this build knows: %s", len(lacking), some(lacking))})
	}
	if len(unknown) > 0 {
		out = append(out, Finding{Level: OK, About: about, Operations: unknown, Message: fmt.Sprintf(
			"the server has %d operations that this build does not know, and that are refused unless unlisted_operations names them: %s", len(unknown), some(unknown))})
	}
	if len(out) == 0 {
		out = append(out, Finding{Level: OK, About: about, Message: "it has the server's operations, and no others"})
	}
	return out
}

// used tells whether some rule covers op.
func (c *checker) used(op *operation.Operation) bool {
	for _, name := range c.rules.RequiredServiceUsers() {
		if slices.ContainsFunc(c.rules.Services(name), func(s policy.Service) bool { return s.Operation == op }) {
			return true
		}
	}
	return false
}
