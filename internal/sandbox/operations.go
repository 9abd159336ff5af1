package sandbox

import (
	"encoding/json"
	"strings"
	"time"
)

// play performs one operation: the request message as JSON in, whatever
// becomes the answer's JSON out.
type play func(c *call, in []byte) (any, *problem)

// object is JSON.
type object = map[string]any

// operations are those that the sandbox plays; all others answer an empty message.
func operations() map[string]play {
	const (
		users    = "zitadel.user.v2.UserService/"
		orgs     = "zitadel.org.v2.OrganizationService/"
		projects = "zitadel.project.v2.ProjectService/"
		manage   = "zitadel.management.v1.ManagementService/"
		auth     = "zitadel.auth.v1.AuthService/"
	)
	return map[string]play{
		users + "GetUserByID":                                  getUser,
		users + "ListUsers":                                    listUsers,
		users + "CreateUser":                                   createUser,
		users + "DeleteUser":                                   deleteUser,
		users + "LockUser":                                     lockUser,
		users + "AddPersonalAccessToken":                       addPAT,
		orgs + "ListOrganizations":                             listOrganizations,
		orgs + "AddOrganization":                               addOrganization,
		projects + "ListProjects":                              listProjects,
		projects + "CreateProject":                             createProject,
		manage + "GetMyOrg":                                    getMyOrg,
		auth + "GetMyUser":                                     getMyUser,
		"zitadel.admin.v1.AdminService/GetDefaultOrg":          getMyOrg,
		"zitadel.system.v1.SystemService/ListInstances":        listInstances,
		auth + "ListMyZitadelPermissions":                      listMyPermissions,
		auth + "ListMyMemberships":                             listMyMemberships,
		auth + "ListMyUserGrants":                              listMyUserGrants,
		"zitadel.session.v2.SessionService/ListSessions":       listSessions,
		"zitadel.action.v2.ActionService/ListExecutionMethods": listMethods,
		users + "AddKey":                                       addKey,
		users + "ListKeys":                                     listKeys,
		users + "RemoveKey":                                    removeKey,
		users + "ListPersonalAccessTokens":                     listPATs,
		"zitadel.internal_permission.v2.InternalPermissionService/CreateAdministrator": createAdministrator,
		"zitadel.internal_permission.v2.InternalPermissionService/UpdateAdministrator": updateAdministrator,
		"zitadel.internal_permission.v2.InternalPermissionService/ListAdministrators":  listAdministrators,
	}
}

// read decodes the fields of a request that matter here.
func read[T any](in []byte) (T, *problem) {
	var v T
	if err := json.Unmarshal(in, &v); err != nil {
		return v, &problem{3, "", "invalid request: " + err.Error()}
	}
	return v, nil
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

func (u *user) json() object {
	o := object{
		"userId": u.id, "username": u.name, "state": "USER_STATE_ACTIVE", "loginNames": []string{u.name},
		"details": object{"resourceOwner": u.organization},
	}
	if u.locked {
		o["state"] = "USER_STATE_LOCKED"
	}
	if u.machine {
		o["machine"] = object{"name": u.name}
	} else {
		o["human"] = object{"userId": u.id, "username": u.name, "profile": object{"givenName": u.first, "familyName": u.last, "displayName": u.display()}}
	}
	return o
}

// readers are the roles that read users.
func readers() []string {
	return []string{"IAM_OWNER_VIEWER", "IAM_LOGIN_CLIENT", "ORG_OWNER", "ORG_OWNER_VIEWER", "ORG_USER_MANAGER"}
}

func getUser(c *call, in []byte) (any, *problem) {
	r, p := read[struct{ UserID string }](in)
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.state.user(r.UserID)
	if u == nil {
		return nil, &problem{5, "QUERY-Dfbg2", "User could not be found"}
	}
	if u != c.user {
		if p := c.needs(readers()...); p != nil {
			return nil, p
		}
	}
	return object{"user": u.json()}, nil
}

// target finds the user that a change is aimed at.
func target(c *call, in []byte, roles ...string) (*user, *problem) {
	r, p := read[struct{ UserID string }](in)
	if p != nil {
		return nil, p
	}
	u := c.state.user(r.UserID)
	if u == nil {
		return nil, &problem{5, "COMMAND-ad3g2", "User could not be found"}
	}
	return u, c.needs(roles...)
}

func deleteUser(c *call, in []byte) (any, *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, p := target(c, in, "ORG_OWNER", "ORG_USER_MANAGER")
	if p != nil {
		return nil, p
	}
	c.state.revoke(u.id)
	for i := range c.state.users {
		if c.state.users[i] == u {
			c.state.users = append(c.state.users[:i], c.state.users[i+1:]...)
			break
		}
	}
	return object{"deletionDate": now()}, nil
}

func lockUser(c *call, in []byte) (any, *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, p := target(c, in, "ORG_OWNER", "ORG_USER_MANAGER")
	if p != nil {
		return nil, p
	}
	u.locked = true
	c.state.revoke(u.id)
	return object{"details": object{"changeDate": now(), "resourceOwner": u.organization}}, nil
}

func addOrganization(c *call, in []byte) (any, *problem) {
	r, p := read[struct{ Name string }](in)
	if p == nil {
		p = c.needs()
	}
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := organization{c.state.id(), r.Name}
	c.state.organizations = append(c.state.organizations, o)
	return object{"organizationId": o.id}, nil
}

func listProjects(c *call, _ []byte) (any, *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := []any{}
	for _, p := range c.state.projects {
		result = append(result, object{"projectId": p.id, "name": p.name, "organizationId": p.organization})
	}
	return object{"projects": result}, nil
}

func createProject(c *call, in []byte) (any, *problem) {
	r, p := read[struct{ OrganizationID, Name string }](in)
	if p == nil {
		p = c.needs("ORG_OWNER", "ORG_PROJECT_CREATOR")
	}
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	made := project{c.state.id(), r.Name, r.OrganizationID}
	c.state.projects = append(c.state.projects, made)
	return object{"projectId": made.id, "creationDate": now()}, nil
}

func getMyOrg(c *call, _ []byte) (any, *problem) {
	if p := c.needs("ORG_OWNER", "ORG_OWNER_VIEWER", "IAM_OWNER_VIEWER"); p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.state.organizations {
		if o.id == c.organization || c.organization == "" {
			return object{"org": object{"id": o.id, "name": o.name}}, nil
		}
	}
	return nil, &problem{5, "QUERY-leq5Q", "Organisation could not be found"}
}

func getMyUser(c *call, _ []byte) (any, *problem) {
	c.mu.Lock()
	fail := c.failSelf
	c.mu.Unlock()
	if fail {
		return nil, &problem{13, "", "Errors.Internal"}
	}
	if c.user == nil {
		return nil, &problem{5, "QUERY-Dfbg2", "User could not be found"}
	}
	o := object{"id": c.user.id, "userName": c.user.name, "state": "USER_STATE_ACTIVE", "loginNames": []string{c.user.name}, "details": object{"resourceOwner": c.user.organization}}
	if c.user.machine {
		o["machine"] = object{"name": c.user.name}
	} else {
		o["human"] = object{"profile": object{"firstName": c.user.first, "lastName": c.user.last, "displayName": c.user.display()}}
	}
	return object{"user": o}, nil
}

func listMyPermissions(c *call, _ []byte) (any, *problem) {
	var result []string
	if c.user != nil {
		for _, r := range c.user.roles() {
			result = append(result, strings.ToLower(r))
		}
	}
	return object{"result": result}, nil
}

func listInstances(c *call, _ []byte) (any, *problem) {
	if c.system == "" {
		return nil, &problem{16, "AUTH-7fs1e", "Errors.Token.Invalid"}
	}
	return object{"result": []any{object{"id": "287345091730000000", "name": "ACME", "state": "STATE_RUNNING"}}}, nil
}
