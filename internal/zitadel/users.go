package zitadel

import (
	"context"
	"fmt"
)

// The services whose calls are named by their RPC, by Connect.
const (
	userService       = "/zitadel.user.v2.UserService/"
	permissionService = "/zitadel.internal_permission.v2.InternalPermissionService/"
)

// Account is a user as somebody who manages users sees it.
type Account struct {
	ID           string
	UserName     string
	Organization string
	Machine      bool
	State        string // USER_STATE_ACTIVE, USER_STATE_LOCKED, …
}

// FindUser finds the user of this user name in an organization. Users that the
// token may not see are not found.
func (c *Client) FindUser(ctx context.Context, authorization []string, organization, name string) (Account, bool, error) {
	return c.findUser(ctx, authorization,
		map[string]any{"userNameQuery": map[string]any{"userName": name, "method": "TEXT_QUERY_METHOD_EQUALS"}},
		map[string]any{"organizationIdQuery": map[string]any{"organizationId": organization}})
}

// UserByID finds a user by its id.
func (c *Client) UserByID(ctx context.Context, authorization []string, id string) (Account, bool, error) {
	return c.findUser(ctx, authorization, map[string]any{"inUserIdsQuery": map[string]any{"userIds": []string{id}}})
}

func (c *Client) findUser(ctx context.Context, authorization []string, queries ...any) (Account, bool, error) {
	var answer struct {
		Result []struct {
			UserID, Username, State string
			Details                 struct{ ResourceOwner string }
			Machine                 *struct{}
		}
	}
	if err := c.ask(ctx, userService+"ListUsers", authorization, map[string]any{"queries": queries}, &answer); err != nil {
		return Account{}, false, err
	}
	switch len(answer.Result) {
	case 0:
		return Account{}, false, nil
	case 1:
		u := answer.Result[0]
		return Account{ID: u.UserID, UserName: u.Username, Organization: u.Details.ResourceOwner, Machine: u.Machine != nil, State: u.State}, u.UserID != "", nil
	}
	return Account{}, false, fmt.Errorf("reading zitadel's answer to %sListUsers: %d users where one was asked for", userService, len(answer.Result))
}

// MachineUser is what [Client.CreateMachineUser] creates.
func MachineUser(organization, name, description string) map[string]any {
	return map[string]any{
		"organizationId": organization, "username": name,
		"machine": map[string]any{"name": name, "description": description, "accessTokenType": "ACCESS_TOKEN_TYPE_BEARER"},
	}
}

// CreateMachineUser creates a service user, as [MachineUser] describes it, and
// returns its id. A [*StatusError] of 409 says that the name is taken.
func (c *Client) CreateMachineUser(ctx context.Context, authorization []string, user map[string]any) (string, error) {
	var answer struct{ ID string }
	if err := c.ask(ctx, userService+"CreateUser", authorization, user, &answer); err != nil {
		return "", err
	}
	if answer.ID == "" {
		return "", fmt.Errorf("reading zitadel's answer to %sCreateUser: it names no user", userService)
	}
	return answer.ID, nil
}

// HasOrganization tells whether the token may see an organization of this id.
func (c *Client) HasOrganization(ctx context.Context, authorization []string, id string) (bool, error) {
	var answer struct{ Result []struct{ ID string } }
	query := map[string]any{"queries": []any{map[string]any{"idQuery": map[string]any{"id": id}}}}
	if err := c.ask(ctx, "/zitadel.org.v2.OrganizationService/ListOrganizations", authorization, query, &answer); err != nil {
		return false, err
	}
	return len(answer.Result) == 1 && answer.Result[0].ID == id, nil
}
