package zitadel

import "context"

// Resource is where manager roles count: on the instance when both ids are
// empty, else in the one that is named.
type Resource struct {
	Organization string
	Project      string
}

func (r Resource) message() map[string]any {
	switch {
	case r.Organization != "":
		return map[string]any{"organizationId": r.Organization}
	case r.Project != "":
		return map[string]any{"projectId": r.Project}
	}
	return map[string]any{"instance": true}
}

// String is "on the instance", "in organization 17" or "on project 17".
func (r Resource) String() string {
	switch {
	case r.Organization != "":
		return "in organization " + r.Organization
	case r.Project != "":
		return "on project " + r.Project
	}
	return "on the instance"
}

// Holds tells whether the membership is of the resource.
func (m Membership) Holds(r Resource) bool {
	switch m.Level() {
	case "instance":
		return r == Resource{}
	case "organization":
		return r == Resource{Organization: m.OrganizationID}
	case "project":
		return r == Resource{Project: m.ProjectID}
	}
	return false
}

// Administrator is the message that makes a user a manager of r.
func Administrator(userID string, r Resource, roles []string) map[string]any {
	return map[string]any{"userId": userID, "resource": r.message(), "roles": roles}
}

// CreateAdministrator makes a user a manager, as [Administrator] describes it. A
// [*StatusError] of 409 says that it is one of that resource already.
func (c *Client) CreateAdministrator(ctx context.Context, authorization []string, administrator map[string]any) error {
	return c.ask(ctx, permissionService+"CreateAdministrator", authorization, administrator, &struct{}{})
}

// UpdateAdministrator replaces a manager's roles of one resource by those of administrator.
func (c *Client) UpdateAdministrator(ctx context.Context, authorization []string, administrator map[string]any) error {
	return c.ask(ctx, permissionService+"UpdateAdministrator", authorization, administrator, &struct{}{})
}

// Administrators are the memberships of a user as somebody who may see them does.
func (c *Client) Administrators(ctx context.Context, authorization []string, userID string) ([]Membership, error) {
	var answer struct {
		Administrators []struct {
			User         struct{ ID string }
			Instance     bool
			Organization struct{ ID string }
			Project      struct{ ID string }
			ProjectGrant struct{ ID, ProjectID string }
			Roles        []string
		}
	}
	filter := map[string]any{"filters": []any{map[string]any{"inUserIdsFilter": map[string]any{"ids": []string{userID}}}}}
	if err := c.ask(ctx, permissionService+"ListAdministrators", authorization, filter, &answer); err != nil {
		return nil, err
	}
	var all []Membership
	for _, a := range answer.Administrators {
		if a.User.ID == userID {
			all = append(all, Membership{a.Roles, a.Instance, a.Organization.ID, a.Project.ID + a.ProjectGrant.ProjectID, a.ProjectGrant.ID})
		}
	}
	return all, nil
}
