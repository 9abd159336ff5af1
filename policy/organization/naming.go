package organization

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// kind is how a field names an organization.
type kind uint8

const (
	not       kind = iota
	byID           // its value is the id of an organization
	otherwise      // by domain or name, or it means the whole instance
)

// naming goes by the names of fields: ZITADEL has no other mark for them. A
// test looks through every request for names that are not decided on here.
func naming(f protoreflect.FieldDescriptor) kind {
	switch f.Name() {
	case "organization_id", "org_id", "granted_organization_id", "granted_org_id", "resource_owner", "org_ids", "excluded_org_ids":
		if f.Kind() == protoreflect.StringKind {
			return byID
		}
	case "id":
		if ids[f.Parent().FullName()] {
			return byID
		}
	case "org_domain", "org_name":
		return otherwise
	case "instance", "system":
		if f.Kind() == protoreflect.BoolKind {
			return otherwise
		}
	}
	return not
}

// holdsID tells the fields whose message holds the id of an organization in its
// field id (zitadel.filter.v2.IDFilter and v2beta's).
func holdsID(f protoreflect.FieldDescriptor) bool {
	if m := f.Message(); m == nil || !strings.HasPrefix(string(m.FullName()), "zitadel.filter.") || m.Name() != "IDFilter" {
		return false
	}
	return strings.Contains(string(f.Name()), "organization_id") || strings.Contains(string(f.Name()), "resource_owner")
}
