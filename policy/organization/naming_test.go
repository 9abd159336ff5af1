package organization

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

// harmless are fields whose names sound of organizations and that name none by
// themselves: what they hold is looked into, or text, or says nothing of where.
var harmless = map[string]bool{
	// messages around the fields that name one
	"data_orgs": true, "data_orgs_gcs": true, "data_orgs_local": true, "data_orgs_s3": true, "data_orgsv1": true, "data_orgsv1_gcs": true,
	"data_orgsv1_local": true, "data_orgsv1_s3": true, "orgs": true, "org": true, "organization": true, "org_members": true, "org_query": true,
	"granted_org_id_query": true, "org_domain_query": true, "org_name_query": true, "organization_id_query": true, "owner_type_query": true,
	"project_resource_owner_query": true, "registration_org_text": true, "organization_id_filter": true,
	// texts, switches and the names of what is made
	"description_org_register": true, "disallow_public_org_registration": true, "first_org_name": true, "login_default_org": true, "org_state": true,
	"orgname_label": true, "ownerType": true, "owner_type": true, "owner_email": true, "owner_password": true, "owner_profile": true,
	"owner_user_name": true, "user_must_be_member_of_org": true, "validate_org_domains": true,
}

func TestEveryFieldThatSoundsOfAnOrganizationIsDecidedOn(t *testing.T) {
	catalogue, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	types, err := message.Default()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[protoreflect.FullName]bool{}
	fields, naming := 0, 0
	var walk func(m protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			fields++
			if names(f) {
				naming++
			} else if sounds(f) && !harmless[string(f.Name())] {
				t.Errorf("%s may name an organization and is not decided on", f.FullName())
			}
			switch {
			case f.IsMap() && f.MapValue().Message() != nil && f.MapValue().Message().Name() != "HeaderValues" && f.MapValue().Message().Name() != "Value":
				t.Errorf("%s is a map with messages, which nobody looks into; those of headers and free JSON are text", f.FullName())
			case f.Message() != nil:
				walk(f.Message())
			}
		}
	}
	for _, op := range catalogue.Operations() {
		if shape, ok := types.Of(op.Name); ok {
			walk(shape)
		}
	}
	if fields < 2000 || naming < 60 {
		t.Errorf("%d fields looked at, %d name organizations", fields, naming)
	}
}

func names(f protoreflect.FieldDescriptor) bool { return naming(f) != not || holdsID(f) }

func sounds(f protoreflect.FieldDescriptor) bool {
	name := strings.ToLower(string(f.Name()))
	return strings.Contains(name, "org") || strings.Contains(name, "owner")
}

// ZITADEL's own messages for organizations have the field id.
func TestEveryIDOfAnOrganizationIsKnown(t *testing.T) {
	types, err := message.Default()
	if err != nil {
		t.Fatal(err)
	}
	for name := range ids {
		d, err := types.Files().FindDescriptorByName(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f := d.(protoreflect.MessageDescriptor).Fields().ByName("id"); f == nil || f.Kind() != protoreflect.StringKind {
			t.Errorf("%s has no field id", name)
		}
	}
	catalogue, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range catalogue.Operations() {
		shape, ok := types.Of(op.Name)
		if !ok || !strings.Contains(string(op.Name), ".OrganizationService/") {
			continue
		}
		if f := shape.Fields().ByName("id"); f != nil && !ids[shape.FullName()] {
			t.Errorf("%s: %s is the id of an organization that is not known", op.Name, f.FullName())
		}
	}
}

func TestWaysHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for by := Nothing; by <= Path; by++ {
		seen[by.String()] = true
	}
	if len(seen) != 5 {
		t.Errorf("got %v", seen)
	}
}
