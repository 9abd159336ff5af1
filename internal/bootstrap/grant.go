package bootstrap

import (
	"context"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/internal/zitadel"
)

// grant sees to it that the user holds roles of a resource. Roles that it holds
// besides are kept: they may be there for another reason.
func (r *run) grant(ctx context.Context, a zitadel.Account, g Grant) error {
	held, member, err := r.held(ctx, a, g.Resource)
	if err != nil {
		return err
	}
	roles := union(held, g.Roles)
	if member && len(roles) == len(held) {
		r.say("kept        %s %s for %s", strings.Join(g.Roles, ", "), g.Resource, a.UserName)
		return nil
	}
	message, what := zitadel.Administrator(a.ID, g.Resource, roles), step{
		doing: "granting " + strings.Join(g.Roles, ", ") + " " + g.Resource.String(), needs: permission(g.Resource),
	}
	if r.DryRun {
		r.would("internal_permission.v2.InternalPermissionService/"+map[bool]string{true: "UpdateAdministrator", false: "CreateAdministrator"}[member], message)
		return nil
	}
	if member {
		err = r.Client.UpdateAdministrator(ctx, r.Token, message)
	} else {
		err = r.Client.CreateAdministrator(ctx, r.Token, message)
	}
	if err != nil {
		return r.refused(err, what)
	}
	r.say("granted     %s %s to %s", strings.Join(g.Roles, ", "), g.Resource, a.UserName)
	return nil
}

// held are the roles of the resource that the user has already.
func (r *run) held(ctx context.Context, a zitadel.Account, of zitadel.Resource) (roles []string, member bool, err error) {
	if strings.HasPrefix(a.ID, "<") { // it is not there yet
		return nil, false, nil
	}
	all, err := r.Client.Administrators(ctx, r.Token, a.ID)
	if err != nil {
		return nil, false, r.refused(err, step{doing: "looking for the roles of the user", needs: permission(of)})
	}
	for _, m := range all {
		if m.Holds(of) {
			return m.Roles, true, nil
		}
	}
	return nil, false, nil
}

func union(held, more []string) []string {
	all := slices.Clone(held)
	for _, r := range more {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// permission is what it takes to make somebody a manager of a resource.
func permission(of zitadel.Resource) string {
	switch {
	case of.Organization != "":
		return "org.member.write"
	case of.Project != "":
		return "project.member.write"
	}
	return "iam.member.write"
}
