package sandbox

import (
	"slices"
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

// FailSelf makes the questions that users ask about themselves fail, or not.
func (s *Sandbox) FailSelf(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failSelf = fail
}

func listMyUserGrants(c *call, _ []byte) (any, *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := []any{}
	if c.user != nil {
		for _, id := range c.user.authorizations {
			result = append(result, object{"grantId": id, "userId": c.user.id, "orgId": c.user.organization})
		}
	}
	return object{"result": result}, nil
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
