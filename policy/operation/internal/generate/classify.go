package main

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// changes tells whether an RPC may change ZITADEL's state. Only what is named
// as a read is one; everything else changes, also where its REST method is GET.
//
// Exceptions: ExportData is not named as a read and stays a change, because it
// can write to a place that the request names.
func changes(service string, m protoreflect.MethodDescriptor) bool {
	name := string(m.Name())
	for _, read := range []string{"Get", "List", "Search", "Is", "Healthz"} {
		if rest, ok := strings.CutPrefix(name, read); ok && (rest == "" || rest[0] >= 'A' && rest[0] <= 'Z') {
			return false
		}
	}
	return true
}

// namesUser tells whether the request of m can name a user anywhere in its
// message. It errs on the side of true: a name too many costs a look at the
// body, one too few lets a request act on a service user of zproxy's own.
func namesUser(service string, m protoreflect.MethodDescriptor) bool {
	about := strings.Contains(string(m.Name()), "User") || service == authService
	return messageNamesUser(m.Input(), about, make(map[visit]bool))
}

// visit is a message on the walk. The same message can be met as part of a
// user filter and of another one, and only the former names a user.
type visit struct {
	message protoreflect.FullName
	about   bool
}

// messageNamesUser walks a message. about says that the RPC, or a message on
// the way, is about users, so that a bare id is taken for a user's.
func messageNamesUser(m protoreflect.MessageDescriptor, about bool, seen map[visit]bool) bool {
	switch m.FullName() {
	case "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue":
		return true
	}
	about = about || strings.Contains(string(m.FullName().Name()), "User")
	here := visit{m.FullName(), about}
	if seen[here] {
		return false
	}
	seen[here] = true
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		name := string(f.Name())
		if f.Kind() == protoreflect.StringKind && (about && bareID(name) || userField(name)) {
			return true
		}
		nested := about || userField(name)
		if f.Message() != nil && messageNamesUser(f.Message(), nested, seen) {
			return true
		}
	}
	return false
}

func bareID(name string) bool {
	switch name {
	case "id", "ids", "value", "values", "name":
		return true
	}
	return false
}

func userField(name string) bool {
	for _, part := range []string{"user", "login_name", "subject", "owner", "member", "aggregate_id", "email", "creator", "editor"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
