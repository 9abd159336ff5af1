// Package organization tells whether a request stays within given organizations.
//
// ZITADEL has three ways to limit what an operation reaches: the header
// x-zitadel-orgid, a field of the request, and filters of a list. Each operation
// knows one of them, or none: what names its target by id alone is limited only
// by the roles that the service user holds.
package organization

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/operation"
)

// By is the way in which an operation is limited to an organization.
type By uint8

// The ways. The zero By limits nothing.
const (
	Nothing By = iota // no part of the request limits it
	Header            // x-zitadel-orgid, or the service user's own organization without one
	Field             // a field of the request, which must be set then
	Filter            // a filter of the list, which must be there then
	Path              // a variable of the path (SCIM)
)

// String is the word that messages use.
func (b By) String() string {
	switch b {
	case Header:
		return "x-zitadel-orgid"
	case Field:
		return "a field of the request"
	case Filter:
		return "a filter of the list"
	case Path:
		return "the path"
	}
	return "nothing"
}

const management = "zitadel.management.v1.ManagementService/"

// beyond are operations of the Management API that do not stay in the
// organization of the header, by their API documentation: they look through the
// instance, or make an organization.
var beyond = map[operation.Name]bool{
	management + "Healthz": true, management + "GetOIDCInformation": true, management + "GetIAM": true, management + "GetSupportedLanguages": true,
	management + "GetUserByLoginNameGlobal": true, management + "GetOrgByDomainGlobal": true, management + "AddOrg": true, management + "IsUserUnique": true,
}

// Of is how requests of op, whose message has this shape, are limited. The
// shape is nil for operations that have no request message.
func Of(op *operation.Operation, shape protoreflect.MessageDescriptor) By {
	switch {
	case strings.HasPrefix(string(op.Name), "scim/"):
		return Path
	case strings.HasPrefix(string(op.Name), "assets/") && strings.Contains(string(op.Name), "OrgLabelPolicy"):
		return Header
	case shape == nil || beyond[op.Name]:
		return Nothing
	case strings.HasPrefix(string(op.Name), management):
		return Header
	}
	for i := range shape.Fields().Len() {
		f := shape.Fields().Get(i)
		switch {
		case limits(f):
			return Field
		case defaults(f):
			return Header
		case isFilters(f) && anyLimits(f.Message()):
			return Filter
		}
	}
	return Nothing
}

// defaults tells the fields that choose an organization in place of the header.
func defaults(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && !f.IsList() && (f.Name() == "ctx" || f.Name() == "organization")
}

// isFilters tells a list of filters, of which all have to hold.
func isFilters(f protoreflect.FieldDescriptor) bool {
	if !f.IsList() || f.Message() == nil {
		return false
	}
	return f.Name() == "queries" || f.Name() == "filters" || f.Name() == "filter"
}

func anyLimits(filter protoreflect.MessageDescriptor) bool {
	for i := range filter.Fields().Len() {
		if limits(filter.Fields().Get(i)) {
			return true
		}
	}
	return false
}

// limits tells the fields that, set to an organization's id, keep the request
// within it. An organization that a project is granted to, and the one that a
// user is of, are named beside it and limit nothing.
func limits(f protoreflect.FieldDescriptor) bool {
	switch f.Name() {
	case "organization_id", "org_id", "resource_owner",
		"organization_id_query", "organization_id_filter", "project_organization_id_filter", "project_resource_owner_filter":
		return !f.IsList()
	case "resource":
		return f.Message() != nil && f.Message().Fields().ByName("organization_id") != nil
	case "id_query", "id_filter":
		return f.Message() != nil && ids[f.Message().FullName()]
	case "id":
		return ids[f.Parent().FullName()]
	}
	return false
}

// ids are the messages whose field id is an organization's.
var ids = map[protoreflect.FullName]bool{
	"zitadel.admin.v1.GetOrgByIDRequest":               true,
	"zitadel.org.v1.OrgIDQuery":                        true,
	"zitadel.org.v2.OrganizationIDQuery":               true,
	"zitadel.org.v2beta.ActivateOrganizationRequest":   true,
	"zitadel.org.v2beta.CreateOrganizationRequest":     true,
	"zitadel.org.v2beta.DeactivateOrganizationRequest": true,
	"zitadel.org.v2beta.DeleteOrganizationRequest":     true,
	"zitadel.org.v2beta.OrgIDFilter":                   true,
	"zitadel.org.v2beta.UpdateOrganizationRequest":     true,
}
