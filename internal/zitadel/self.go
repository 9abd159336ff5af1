package zitadel

import (
	"context"
	"fmt"
	"strings"
)

// User is the user that a token is of.
type User struct {
	ID           string
	UserName     string
	Organization string   // that it lives in
	LoginNames   []string // all spellings under which it could sign in
}

// Me tells which user a token is of: GET /auth/v1/users/me, which any valid token may ask.
func (c *Client) Me(ctx context.Context, authorization []string) (User, error) {
	var answer struct {
		User struct {
			ID, UserName, PreferredLoginName string
			LoginNames                       []string
			Details                          struct{ ResourceOwner string }
		}
	}
	const path = "/auth/v1/users/me"
	if err := c.ask(ctx, path, authorization, nil, &answer); err != nil {
		return User{}, err
	}
	u := User{ID: answer.User.ID, UserName: answer.User.UserName, Organization: answer.User.Details.ResourceOwner, LoginNames: answer.User.LoginNames}
	if u.ID == "" {
		return User{}, fmt.Errorf("reading zitadel's answer to %s: it names no user; is upstream.address really ZITADEL?", path)
	}
	if u.UserName != "" {
		u.LoginNames = append(u.LoginNames, u.UserName)
	}
	if name := answer.User.PreferredLoginName; name != "" {
		u.LoginNames = append(u.LoginNames, name)
	}
	return u, nil
}

// Membership is where the token's user is a manager, and its roles there.
type Membership struct {
	Roles          []string
	IAM            bool
	OrganizationID string
	ProjectID      string
	ProjectGrantID string
}

// Level is the kind of the membership: instance, organization, project or project_grant.
func (m Membership) Level() string {
	switch {
	case m.IAM:
		return "instance"
	case m.ProjectGrantID != "":
		return "project_grant"
	case m.ProjectID != "":
		return "project"
	}
	return "organization"
}

// String is the roles and where: "ORG_OWNER in organization 17".
func (m Membership) String() string {
	roles := strings.Join(m.Roles, ", ")
	switch m.Level() {
	case "instance":
		return roles + " on the instance"
	case "project_grant":
		return roles + " on project grant " + m.ProjectGrantID
	case "project":
		return roles + " on project " + m.ProjectID
	}
	return roles + " in organization " + m.OrganizationID
}

// Memberships are where the token's user is a manager.
func (c *Client) Memberships(ctx context.Context, authorization []string) ([]Membership, error) {
	var answer struct {
		Result []struct {
			Roles                            []string
			IAM                              bool
			OrgID, ProjectID, ProjectGrantID string
		}
	}
	if err := c.ask(ctx, "/auth/v1/memberships/me/_search", authorization, page(), &answer); err != nil {
		return nil, err
	}
	var all []Membership
	for _, r := range answer.Result {
		all = append(all, Membership{r.Roles, r.IAM, r.OrgID, r.ProjectID, r.ProjectGrantID})
	}
	return all, nil
}

// page asks for as many rows as ZITADEL gives at once.
func page() any { return map[string]any{"query": map[string]any{"limit": 1000}} }
