package organization

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/operation"
)

// Request is what a request says about organizations.
type Request struct {
	// Message is the request message; nil for operations that have none.
	Message protoreflect.Message
	// Variables are those of the path, for operations that have no message.
	Variables []operation.Variable
}

// ForeignError tells of an organization that a request names by its id, and
// that is not allowed.
type ForeignError struct {
	Where string // "the path", "queries[0].organization_id"
	ID    string // as in the request
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s names organization %q, which the rule does not allow", e.Where, e.ID)
}

// Within tells why a request that is limited by by does not stay within allowed,
// or nil: every organization that it names is one of allowed ([*ForeignError]), and the
// field or filter that limits it is there. The error is for the caller: it quotes what
// the request says, never what is allowed.
func Within(r Request, by By, allowed []string) error {
	if by == Path {
		return pathWithin(r.Variables, allowed)
	}
	if r.Message == nil {
		return nil
	}
	if err := named(r.Message, "", allowed); err != nil {
		return err
	}
	switch {
	case by == Field && !limitedByField(r.Message):
		return fmt.Errorf("the request must say in which organization: set %s", fieldNames(r.Message.Descriptor()))
	case by == Filter && !limitedByFilter(r.Message):
		return fmt.Errorf("the list must be limited to an organization: add %s", filterNames(r.Message.Descriptor()))
	}
	return nil
}

func pathWithin(variables []operation.Variable, allowed []string) error {
	for _, v := range variables {
		if v.Field == "org_id" {
			if slices.Contains(allowed, v.Value) {
				return nil
			}
			return &ForeignError{"the path", v.Value}
		}
	}
	return fmt.Errorf("the path names no organization")
}

// named walks every field that is set, filters within filters too.
func named(m protoreflect.Message, at string, allowed []string) error {
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		err = fieldNamed(f, v, join(at, string(f.Name())), allowed)
		return err == nil
	})
	return err
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func fieldNamed(f protoreflect.FieldDescriptor, v protoreflect.Value, at string, allowed []string) error {
	switch {
	case f.IsMap(): // free text, whatever the value's type; a test says so
		return nil
	case f.IsList():
		for i := range v.List().Len() {
			if err := valueNamed(f, v.List().Get(i), fmt.Sprintf("%s[%d]", at, i), allowed); err != nil {
				return err
			}
		}
		return nil
	}
	return valueNamed(f, v, at, allowed)
}

func valueNamed(f protoreflect.FieldDescriptor, v protoreflect.Value, at string, allowed []string) error {
	switch naming(f) {
	case byID:
		if !slices.Contains(allowed, v.String()) {
			return &ForeignError{at, v.String()}
		}
		return nil
	case otherwise:
		return fmt.Errorf("%s names an organization otherwise than by its id, or the instance; leave it out", at)
	}
	if f.Message() == nil {
		return nil
	}
	if holdsID(f) {
		id := f.Message().Fields().ByName("id")
		return valueNamedByID(v.Message().Get(id).String(), at+".id", allowed)
	}
	return named(v.Message(), at, allowed)
}

func valueNamedByID(id, at string, allowed []string) error {
	if slices.Contains(allowed, id) {
		return nil
	}
	return &ForeignError{at, id}
}

// limitedByField tells whether a limiting field of the request itself is set.
// What it is set to has been looked at.
func limitedByField(m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); limits(f) && m.Has(f) && says(f, m.Get(f)) {
			return true
		}
	}
	return false
}

func limitedByFilter(m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !isFilters(f) {
			continue
		}
		for j := range m.Get(f).List().Len() {
			if limitedByField(m.Get(f).List().Get(j).Message()) {
				return true
			}
		}
	}
	return false
}

// says tells whether a limiting field that is set holds an id: an empty filter
// limits nothing, and a resource may be a project.
func says(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if f.Message() == nil {
		return v.String() != ""
	}
	m := v.Message()
	for _, name := range [...]protoreflect.Name{"organization_id", "id"} {
		if inner := m.Descriptor().Fields().ByName(name); inner != nil && inner.Message() == nil && m.Get(inner).String() != "" {
			return true
		}
	}
	grant := m.Descriptor().Fields().ByName("project_grant")
	return grant != nil && grant.Message() != nil && m.Has(grant) && limitedByField(m.Get(grant).Message())
}

func fieldNames(shape protoreflect.MessageDescriptor) string {
	var names []string
	for i := range shape.Fields().Len() {
		if f := shape.Fields().Get(i); limits(f) {
			names = append(names, spelled(f))
		}
	}
	return strings.Join(names, " or ")
}

// spelled is what to set of a limiting field: a resource may be given and be no organization.
func spelled(f protoreflect.FieldDescriptor) string {
	if f.Name() == "resource" {
		return "resource.organization_id"
	}
	return string(f.Name())
}

func filterNames(shape protoreflect.MessageDescriptor) string {
	var names []string
	for i := range shape.Fields().Len() {
		f := shape.Fields().Get(i)
		if !isFilters(f) {
			continue
		}
		for j := range f.Message().Fields().Len() {
			if inner := f.Message().Fields().Get(j); limits(inner) {
				names = append(names, spelled(inner)+" to "+string(f.Name()))
			}
		}
	}
	return strings.Join(names, " or ")
}
