package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

func newPolicyRoles() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "roles --config FILE",
		Short: "Say which manager roles each service user needs in ZITADEL",
		Long: `Compute, for each service user, the least manager roles of ZITADEL that its rules
need, and what forces each. The basis of each line says how it is known:
measured on a live server with every role, read in its source, or declared by
the RPC. Roles are ZITADEL's defaults; a server of your own may map them otherwise.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usage("zproxy policy roles --config zproxy.yaml", "no configuration is given")
			}
			rules, err := compiled(file)
			if err != nil {
				return err
			}
			return policyRoles(c.OutOrStdout(), rules, asJSON)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `file`")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a service user")
	return c
}

// userRoles is what one service user needs.
type userRoles struct {
	ServiceUser string           `json:"service_user"`
	Within      []string         `json:"organizations,omitempty"` // all that its rules stay within; nil where one does not
	Needs       role.Requirement `json:"needs"`
	services    []policy.Service
}

func neededRoles(rules *policy.Policy) []userRoles {
	var all []userRoles
	for _, name := range rules.RequiredServiceUsers() {
		u := userRoles{ServiceUser: name, services: rules.Services(name)}
		var ops []operation.Name
		pinned := true
		for _, s := range u.services {
			ops = append(ops, s.Operation.Name)
			pinned = pinned && s.Within != nil
			u.Within = append(u.Within, s.Within...)
		}
		slices.Sort(u.Within)
		if u.Within = slices.Compact(u.Within); !pinned {
			u.Within = nil
		}
		u.Needs = role.Least(ops, pinned)
		all = append(all, u)
	}
	return all
}

func policyRoles(w io.Writer, rules *policy.Policy, asJSON bool) error {
	for i, u := range neededRoles(rules) {
		if asJSON {
			if err := json.NewEncoder(w).Encode(u); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		printRoles(w, u)
	}
	return nil
}

func printRoles(w io.Writer, u userRoles) {
	fmt.Fprintf(w, "service user %s\n", u.ServiceUser)
	for _, g := range u.Needs.Grants {
		fmt.Fprintf(w, "  needs %s %s\n", strings.Join(g.Roles, " and "), where(g.Level, u.Within))
		for _, b := range g.Because {
			fmt.Fprintf(w, "    %s for %s (%s)\n", strings.Join(b.Permissions, ", "), b.Operation, b.Basis)
		}
		if len(g.Together) > 0 {
			fmt.Fprintf(w, "    or %s together, which change less\n", strings.Join(g.Together, " and "))
		}
	}
	for _, line := range [...]struct {
		what string
		ops  []operation.Name
	}{
		{"needs no role", u.Needs.Nothing},
		{"only a system user can", u.Needs.SystemOnly},
		{"no role of ZITADEL's can", u.Needs.Nobody},
		{"nothing is known of", u.Needs.Unknown},
	} {
		if len(line.ops) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", line.what, join(line.ops))
		}
	}
	for _, name := range u.Needs.Choices {
		need, _ := role.Lookup(name)
		fmt.Fprintf(w, "  depends on the request: %s (%s)\n", name, need.Basis)
		for _, v := range need.Variants {
			fmt.Fprintf(w, "    %s: %s\n", v.When, strings.Join(v.Permissions, ", "))
		}
	}
	printCautions(w, u)
}

// printCautions tells of operations that are not what they look like.
func printCautions(w io.Writer, u userRoles) {
	var own []operation.Name
	for _, s := range u.services {
		if need, ok := role.Lookup(s.Operation.Name); ok && need.OrgContext && s.Within == nil {
			own = append(own, s.Operation.Name)
		}
	}
	if len(own) > 0 {
		fmt.Fprintf(w, "  note: checked in the organization of x-zitadel-orgid, which is the service user's own for rules without organizations: %s\n", join(own))
	}
	for _, s := range u.services {
		need, ok := role.Lookup(s.Operation.Name)
		switch {
		case ok && need.Unbound && s.Bare:
			fmt.Fprintf(w, "  careful: %s does not check the target's organization; name the targets in a condition, or keep its rules within organizations where requests can name one\n", s.Operation.Name)
		case ok && need.Note != "" && need.Unbound:
			fmt.Fprintf(w, "  note: %s: %s\n", s.Operation.Name, need.Note)
		}
	}
}

func where(level role.Level, within []string) string {
	switch level {
	case role.Instance:
		return "on the instance"
	case role.Project:
		return "on each project that is to be served"
	case role.ProjectGrant:
		return "on each project grant that is to be served"
	}
	if len(within) > 0 {
		return "in organization " + strings.Join(within, " and ")
	}
	return "in each organization that is to be served"
}

func join(names []operation.Name) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return strings.Join(texts, ", ")
}
