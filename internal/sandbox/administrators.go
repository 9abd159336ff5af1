package sandbox

import (
	"slices"
	"strings"
)

// membership is where a user is a manager, and its roles there.
type membership struct {
	level string // instance, organization or project
	id    string // "" for the instance
	roles []string
}

// standing makes memberships of roles by their names: those of the instance,
// and those of the one organization that the sandbox begins with.
func standing(roles []string) []membership {
	var all []membership
	for _, m := range [...]membership{{level: "instance"}, {level: "organization", id: Organization}} {
		for _, r := range roles {
			if strings.HasPrefix(r, "IAM_") == (m.level == "instance") {
				m.roles = append(m.roles, r)
			}
		}
		if len(m.roles) > 0 {
			all = append(all, m)
		}
	}
	return all
}

// roles are those of all memberships.
func (u *user) roles() []string {
	var all []string
	for _, m := range u.memberships {
		all = append(all, m.roles...)
	}
	return all
}

func (u *user) has(roles ...string) bool {
	return slices.ContainsFunc(u.roles(), func(r string) bool { return slices.Contains(roles, r) })
}

// at is the user's membership of a resource; nil if there is none.
func (u *user) at(level, id string) *membership {
	for i := range u.memberships {
		if m := &u.memberships[i]; m.level == level && m.id == id {
			return m
		}
	}
	return nil
}

// Roles are a user's manager roles by where it has them: "instance",
// "organization 17", "project 18".
func (s *Sandbox) Roles(userID string) map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string][]string)
	for _, m := range s.state.user(userID).memberships {
		all[strings.TrimSpace(m.level+" "+m.id)] = slices.Clone(m.roles)
	}
	return all
}

// administrator is a request to make a user a manager, or to change its roles.
type administrator struct {
	UserID   string
	Resource struct {
		Instance                  bool
		OrganizationID, ProjectID string
	}
	Roles []string
}

// resource is where the roles are to count, checked.
func (a administrator) resource(s *state) (membership, *problem) {
	m := membership{level: "instance", roles: a.Roles}
	wrong := &problem{3, "INSTANCE-4m0fS", "Errors.IAM.MemberInvalid"}
	switch {
	case a.Resource.OrganizationID != "":
		m.level, m.id, wrong = "organization", a.Resource.OrganizationID, &problem{3, "Org-4N8es", "Errors.Org.MemberInvalid"}
		if !s.hasOrganization(m.id) {
			return m, &problem{9, "COMMAND-QXPGs", "Errors.Org.NotFound"}
		}
	case a.Resource.ProjectID != "":
		m.level, m.id, wrong = "project", a.Resource.ProjectID, &problem{3, "PROJECT-3m9ds", "Errors.Project.Member.Invalid"}
	}
	beginning := map[string]string{"instance": "IAM_", "organization": "ORG_", "project": "PROJECT_"}[m.level]
	if len(a.Roles) == 0 || slices.ContainsFunc(a.Roles, func(r string) bool { return !strings.HasPrefix(r, beginning) }) {
		return m, wrong
	}
	return m, nil
}

// change checks a request and hands the user and what it is to become to do.
func change(c *call, in []byte, do func(*user, membership) *problem) *problem {
	a, p := read[administrator](in)
	if p == nil {
		p = c.needs("ORG_OWNER")
	}
	if p != nil {
		if p.code == 7 {
			p.id = "AUTH-AWfge" // the check is the handler's own
		}
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m, p := a.resource(&c.state)
	if p != nil {
		return p
	}
	u := c.state.user(a.UserID)
	if u == nil {
		return &problem{9, "ORG-GoXOn", "User could not be found"}
	}
	return do(u, m)
}

func createAdministrator(c *call, in []byte) (any, *problem) {
	return object{"creationDate": now()}, change(c, in, func(u *user, m membership) *problem {
		if u.at(m.level, m.id) != nil {
			return &problem{6, "ORG-poWwe", "Errors.Org.Member.RolesNotChanged"}
		}
		u.memberships = append(u.memberships, m)
		return nil
	})
}

func updateAdministrator(c *call, in []byte) (any, *problem) {
	return object{"changeDate": now()}, change(c, in, func(u *user, m membership) *problem {
		had := u.at(m.level, m.id)
		if had == nil {
			return &problem{5, "Org-D8JxR", "Errors.NotFound"}
		}
		had.roles = m.roles
		return nil
	})
}

func listMyMemberships(c *call, _ []byte) (any, *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := []any{}
	if c.user == nil {
		return object{"result": result}, nil
	}
	for _, m := range c.user.memberships {
		row := object{"userId": c.user.id, "roles": m.roles}
		switch m.level {
		case "instance":
			row["iam"] = true
		case "organization":
			row["orgId"] = m.id
		case "project":
			row["projectId"] = m.id
		}
		result = append(result, row)
	}
	return object{"result": result}, nil
}

// listAdministrators shows all to those who may see members, and others themselves.
func listAdministrators(c *call, in []byte) (any, *problem) {
	r, p := read[struct {
		Filters []struct{ InUserIDsFilter *struct{ IDs []string } }
	}](in)
	if p != nil {
		return nil, p
	}
	all := c.needs("ORG_OWNER", "ORG_OWNER_VIEWER", "IAM_OWNER_VIEWER") == nil
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := []any{}
	for _, u := range c.state.users {
		asked := all || u == c.user
		for _, f := range r.Filters {
			asked = asked && (f.InUserIDsFilter == nil || slices.Contains(f.InUserIDsFilter.IDs, u.id))
		}
		if !asked {
			continue
		}
		for _, m := range u.memberships {
			row := object{"user": object{"id": u.id}, "roles": m.roles}
			switch m.level {
			case "instance":
				row["instance"] = true
			default:
				row[m.level] = object{"id": m.id}
			}
			rows = append(rows, row)
		}
	}
	return object{"administrators": rows}, nil
}
