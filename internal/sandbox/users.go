package sandbox

import "slices"

// userQuery is one of the queries of a list of users that the sandbox knows.
type userQuery struct {
	UserNameQuery       *struct{ UserName string }
	OrganizationIDQuery *struct{ OrganizationID string }
	InUserIDsQuery      *struct{ UserIDs []string }
}

func (q userQuery) fits(u *user) bool {
	return (q.UserNameQuery == nil || q.UserNameQuery.UserName == u.name) &&
		(q.OrganizationIDQuery == nil || q.OrganizationIDQuery.OrganizationID == u.organization) &&
		(q.InUserIDsQuery == nil || slices.Contains(q.InUserIDsQuery.UserIDs, u.id))
}

// listUsers shows everybody to those who may read users, and others themselves.
func listUsers(c *call, in []byte) (any, *problem) {
	r, p := read[struct{ Queries []userQuery }](in)
	if p != nil {
		return nil, p
	}
	all := c.needs(readers()...) == nil
	c.mu.Lock()
	defer c.mu.Unlock()
	result := []any{}
	for _, u := range c.state.users {
		unfit := slices.ContainsFunc(r.Queries, func(q userQuery) bool { return !q.fits(u) })
		if (all || u == c.user) && !unfit {
			result = append(result, u.json())
		}
	}
	return object{"result": result, "details": object{"totalResult": len(c.state.users)}}, nil
}

func createUser(c *call, in []byte) (any, *problem) {
	r, p := read[struct {
		OrganizationID, Username string
		Machine                  *struct{ Name string }
	}](in)
	if p == nil {
		p = c.needs("ORG_OWNER", "ORG_USER_MANAGER")
	}
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.OrganizationID == "":
		return nil, &problem{3, "", "invalid CreateUserRequest.OrganizationId: value length must be between 1 and 200 runes, inclusive"}
	case !c.state.hasOrganization(r.OrganizationID):
		return nil, &problem{9, "COMMAND-QXPGs", "Organisation not found"}
	case c.state.userNamed(r.Username) != nil:
		return nil, &problem{6, "V3-DKcYh", "User already exists"}
	}
	u := &user{id: c.state.id(), name: r.Username, machine: r.Machine != nil, organization: r.OrganizationID, keys: make(map[string]machineKey)}
	c.state.users = append(c.state.users, u)
	return object{"id": u.id, "creationDate": now()}, nil
}

func listOrganizations(c *call, in []byte) (any, *problem) {
	r, p := read[struct {
		Queries []struct{ IDQuery *struct{ ID string } }
	}](in)
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	result := []any{}
	for _, o := range c.state.organizations {
		asked := true
		for _, q := range r.Queries {
			asked = asked && (q.IDQuery == nil || q.IDQuery.ID == o.id)
		}
		if asked {
			result = append(result, object{"id": o.id, "name": o.name, "state": "ORGANIZATION_STATE_ACTIVE"})
		}
	}
	return object{"result": result}, nil
}

// Lock locks a user, which ends all of its tokens for good.
func (s *Sandbox) Lock(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.user(userID).locked = true
	s.state.revoke(userID)
}
