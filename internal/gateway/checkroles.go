package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/zitadel"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

// roles compares what a service user may do in ZITADEL with what the rules have it do.
func (c *checker) roles(ctx context.Context, name string, token *serviceuser.Token) []Finding {
	about := "service user " + name
	memberships, err := c.ask.Memberships(ctx, token.Authorization)
	if err != nil {
		return []Finding{{Level: Warning, About: about, Message: "its roles cannot be compared with the rules: " + err.Error()}}
	}
	roles := rolesOf(memberships)
	services := c.rules.Services(name)
	out := append(tooLittle(about, services, memberships), tooMuch(about, services, memberships, roles)...)
	return append(out, outside(about, services, memberships)...)
}

func rolesOf(memberships []zitadel.Membership) []string {
	var roles []string
	for _, m := range memberships {
		roles = append(roles, m.Roles...)
	}
	return roles
}

// within are the memberships that count in an organization: those of others do
// not. Of which organization a project is is not known here, so all of them do.
func within(memberships []zitadel.Membership, organization string) []zitadel.Membership {
	return slices.DeleteFunc(slices.Clone(memberships), func(m zitadel.Membership) bool {
		return m.Level() == "organization" && m.OrganizationID != organization
	})
}

// tooLittle names operations that ZITADEL will refuse, everywhere or in one of
// the organizations that rules keep them within.
func tooLittle(about string, services []policy.Service, memberships []zitadel.Membership) []Finding {
	failing := make(map[string][]string) // where → operations
	lacks := func(s policy.Service, having []zitadel.Membership) bool {
		_, known := role.Lookup(s.Operation.Name)
		return known && !role.Permits(rolesOf(having), s.Operation.Name)
	}
	for _, s := range services {
		if lacks(s, memberships) {
			failing[""] = append(failing[""], string(s.Operation.Name))
			continue
		}
		for _, id := range s.Within {
			if lacks(s, within(memberships, id)) {
				failing[id] = append(failing[id], string(s.Operation.Name))
			}
		}
	}
	var out []Finding
	for _, where := range slices.Sorted(maps.Keys(failing)) {
		in := ""
		if where != "" {
			in = " in organization " + where
		}
		out = append(out, Finding{Level: Warning, About: about, Operations: failing[where], Message: fmt.Sprintf(
			"it holds %s, and ZITADEL will refuse it %s%s; zproxy policy roles tells the role that it lacks", held(memberships), some(failing[where]), in)})
	}
	return out
}

// tooMuch tells what roles permit beyond the rules, unless they are the least there is.
func tooMuch(about string, services []policy.Service, memberships []zitadel.Membership, roles []string) []Finding {
	var ops []operation.Name
	pinned := true
	for _, s := range services {
		ops = append(ops, s.Operation.Name)
		pinned = pinned && s.Within != nil
	}
	beyond := role.Beyond(roles, ops)
	if len(beyond) == 0 {
		return nil
	}
	var least []string
	for _, g := range role.Least(ops, pinned).Grants {
		least = append(append(least, g.Roles...), g.Together...)
	}
	if !slices.ContainsFunc(roles, func(r string) bool { return !slices.Contains(least, r) }) {
		return []Finding{{Level: OK, About: about, Operations: texts(beyond), Message: fmt.Sprintf(
			"it holds %s, no more than its rules need; ZITADEL has no smaller role, and this one permits %d further operations", held(memberships), len(beyond))}}
	}
	would := "it needs no role"
	for i, g := range role.Least(ops, pinned).Grants {
		if i == 0 {
			would = ""
		} else {
			would += " and "
		}
		would += strings.Join(g.Roles, " and ")
	}
	if len(least) > 0 {
		would += " would do"
	}
	return []Finding{{Level: Warning, About: about, Operations: texts(beyond), Message: fmt.Sprintf(
		"it holds %s, which permits %d operations beyond its rules, such as %s; %s, as zproxy policy roles tells", held(memberships), len(beyond), some(texts(beyond)), would)}}
}

// outside names memberships that reach further than rules whose requests nothing
// else keeps within their organizations.
func outside(about string, services []policy.Service, memberships []zitadel.Membership) []Finding {
	var within []string
	pinned := len(services) > 0
	for _, s := range services {
		pinned = pinned && s.Within != nil
		within = append(within, s.Within...)
	}
	if !pinned {
		return nil
	}
	var further []string
	for _, m := range memberships {
		if m.IAM || m.OrganizationID != "" && !slices.Contains(within, m.OrganizationID) {
			further = append(further, m.String())
		}
	}
	if len(further) == 0 {
		return nil
	}
	slices.Sort(within)
	return []Finding{{Level: Warning, About: about, Message: fmt.Sprintf(
		"its rules stay within organizations %s, and it holds %s: what requests name by id alone is not kept within them; take that role away",
		strings.Join(slices.Compact(within), ", "), strings.Join(further, " and "))}}
}

func held(memberships []zitadel.Membership) string {
	if len(memberships) == 0 {
		return "no role"
	}
	var all []string
	for _, m := range memberships {
		all = append(all, m.String())
	}
	return strings.Join(all, " and ")
}

// some names the first few and counts the rest.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func texts(names []operation.Name) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return out
}
