package sandbox

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// AddAuthorization gives a user an authorization (v1: user grant) and returns its id.
func (s *Sandbox) AddAuthorization(userID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.state.id()
	u := s.state.user(userID)
	u.authorizations = append(u.authorizations, id)
	return id
}

// AddSession adds a session of a user and returns its id.
func (s *Sandbox) AddSession(userID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.state.id()
	u := s.state.user(userID)
	u.sessions = append(u.sessions, id)
	return id
}

// MaxRows bounds the rows of a page of lists of what a user owns; 0 is the
// limit of the request.
func (s *Sandbox) MaxRows(rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxRows = rows
}

// AddOrganization adds an organization and returns its id.
func (s *Sandbox) AddOrganization(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := organization{s.state.id(), name}
	s.state.organizations = append(s.state.organizations, o)
	return o.id
}

// ServeMethods makes the server say that it has methods besides, or with a '-'
// before the name not, those that it serves.
func (s *Sandbox) ServeMethods(methods ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.methods = methods
}

// FailSessions makes lists of sessions fail, or not.
func (s *Sandbox) FailSessions(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failSessions = fail
}

// FailSelf makes the questions that users ask about themselves fail, or not.
func (s *Sandbox) FailSelf(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failSelf = fail
}

// pageQuery is which rows of a list are asked for.
type pageQuery struct {
	Offset json.Number
	Limit  int
}

// page is the rows of ids that are asked for; the sandbox is locked.
func (c *call) page(q pageQuery, ids []string) []string {
	offset, _ := q.Offset.Int64()
	rows := ids[min(int(offset), len(ids)):]
	for _, limit := range [...]int{q.Limit, c.maxRows} {
		if limit > 0 {
			rows = rows[:min(limit, len(rows))]
		}
	}
	return rows
}

func listMyUserGrants(c *call, in []byte) (any, *problem) {
	r, p := read[struct{ Query pageQuery }](in)
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	result, all := []any{}, []string{}
	if c.user != nil {
		all = c.user.authorizations
	}
	for _, id := range c.page(r.Query, all) {
		result = append(result, object{"grantId": id, "userId": c.user.id, "orgId": c.user.organization})
	}
	return object{"result": result, "details": object{"totalResult": strconv.Itoa(len(all))}}, nil
}

// listSessions shows the sessions of one user: to the user itself, and to those
// who may read sessions.
func listSessions(c *call, in []byte) (any, *problem) {
	r, p := read[struct {
		Query   pageQuery
		Queries []struct{ UserIDQuery *struct{ ID string } }
	}](in)
	if p != nil {
		return nil, p
	}
	all := c.needs("ORG_OWNER", "ORG_USER_MANAGER") == nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failSessions {
		return nil, &problem{13, "", "Errors.Internal"}
	}
	of, ids := make(map[string]string), []string{}
	for _, u := range c.state.users {
		asked := all || u == c.user
		for _, q := range r.Queries {
			asked = asked && (q.UserIDQuery == nil || q.UserIDQuery.ID == u.id)
		}
		for _, id := range u.sessions {
			if asked {
				of[id], ids = u.id, append(ids, id)
			}
		}
	}
	sessions := []any{}
	for _, id := range c.page(r.Query, ids) {
		sessions = append(sessions, object{"id": id, "factors": object{"user": object{"id": of[id]}}})
	}
	return object{"sessions": sessions, "details": object{"totalResult": strconv.Itoa(len(ids))}}, nil
}

func listMethods(c *call, _ []byte) (any, *problem) {
	var methods []string
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for j := range service.Methods().Len() {
				if strings.HasPrefix(string(service.FullName()), "zitadel.") {
					methods = append(methods, "/"+string(service.FullName())+"/"+string(service.Methods().Get(j).Name()))
				}
			}
		}
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.methods {
		if without, ok := strings.CutPrefix(m, "-"); ok {
			methods = slices.DeleteFunc(methods, func(have string) bool { return have == "/"+without })
			continue
		}
		methods = append(methods, "/"+m)
	}
	slices.Sort(methods)
	return object{"methods": methods}, nil
}
