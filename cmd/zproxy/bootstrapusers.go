package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/zproxy/zproxy/internal/bootstrap"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/zitadel"
	"github.com/zproxy/zproxy/policy/role"
)

// users are the service users with key files; others are told of.
func (f *bootstrapFlags) users(cfg *config.Config, out io.Writer) ([]bootstrap.User, error) {
	_, rules, err := gateway.Rules(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	needs := neededRoles(rules)
	var users []bootstrap.User
	for _, u := range cfg.ServiceUsers {
		switch {
		case f.name != "" && u.Name != f.name, u.SystemUser != nil:
		case u.PrivateKeyJWT == nil:
			fmt.Fprintf(out, "note        %s has no key file, and is left as it is\n", u.Name)
		default:
			keeper, err := gateway.Keeper(cfg, u)
			if err != nil {
				return nil, &failure{exitFailed, "", err}
			}
			keeper.Plan.Lifetime = f.lifetime
			at := slices.IndexFunc(needs, func(n userRoles) bool { return n.ServiceUser == u.Name })
			var grants []bootstrap.Grant
			if at >= 0 || len(f.roles) > 0 {
				if grants, err = f.grants(u.Name, needs, at, out); err != nil {
					return nil, err
				}
			}
			users = append(users, bootstrap.User{Name: u.Name, Grants: grants, Keeper: keeper})
		}
	}
	if f.name != "" && !slices.ContainsFunc(cfg.ServiceUsers, func(u config.ServiceUser) bool { return u.Name == f.name }) {
		return nil, usage("add it to the file, or leave --name out", "%s has no service user %s", f.config, f.name)
	}
	return users, nil
}

// grants are the roles of one service user and where they count.
func (f *bootstrapFlags) grants(name string, needs []userRoles, at int, out io.Writer) ([]bootstrap.Grant, error) {
	var within []string
	var wanted []role.Grant
	if at >= 0 {
		within, wanted = needs[at].Within, needs[at].Needs.Grants
		for _, op := range slices.Concat(needs[at].Needs.Choices, needs[at].Needs.Unknown) {
			fmt.Fprintf(out, "note        what %s needs for %s depends on the request: see zproxy policy roles\n", name, op)
		}
	}
	if len(f.roles) > 0 {
		var err error
		if wanted, err = named(f.roles); err != nil {
			return nil, err
		}
	}
	var grants []bootstrap.Grant
	for _, g := range wanted {
		switch g.Level {
		case role.Instance:
			grants = append(grants, bootstrap.Grant{Roles: g.Roles})
		case role.Organization:
			if len(within) == 0 {
				grants = append(grants, bootstrap.Grant{Roles: g.Roles, OwnOrganization: true})
			}
			for _, id := range within {
				grants = append(grants, bootstrap.Grant{Roles: g.Roles, Resource: zitadel.Resource{Organization: id}})
			}
		case role.Project:
			if len(f.projects) == 0 {
				return nil, usage("give each with --project ID", "service user %s needs %s on the projects that are to be served", name, strings.Join(g.Roles, ", "))
			}
			for _, id := range f.projects {
				grants = append(grants, bootstrap.Grant{Roles: g.Roles, Resource: zitadel.Resource{Project: id}})
			}
		default:
			return nil, usage("grant it in ZITADEL's console, and leave --role out", "%s counts %s, which bootstrap does not grant", strings.Join(g.Roles, ", "), where(g.Level, nil))
		}
	}
	return grants, nil
}

// named are roles that were named, by their levels.
func named(names []string) ([]role.Grant, error) {
	var grants []role.Grant
	for _, name := range names {
		all := role.Roles()
		at := slices.IndexFunc(all, func(r role.Role) bool { return r.Name == name })
		if at < 0 {
			return nil, usage("write one of ZITADEL's, such as ORG_USER_MANAGER; zproxy policy roles tells which the rules need", "there is no manager role %q", name)
		}
		level := all[at].Level
		same := slices.IndexFunc(grants, func(g role.Grant) bool { return g.Level == level })
		if same < 0 {
			grants = append(grants, role.Grant{Level: level})
			same = len(grants) - 1
		}
		grants[same].Roles = append(grants[same].Roles, name)
	}
	return grants, nil
}
