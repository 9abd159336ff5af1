package message_test

import (
	"net/url"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

func generated(shape protoreflect.MessageDescriptor) proto.Message {
	m, err := protoregistry.GlobalTypes.FindMessageByName(shape.FullName())
	if err != nil {
		panic(err)
	}
	return m.New().Interface()
}

// same compares a message of ours with one of ZITADEL's generated types.
func same(t *testing.T, ours protoreflect.Message, theirs proto.Message) bool {
	t.Helper()
	wire, err := proto.Marshal(ours.Interface())
	if err != nil {
		t.Fatal(err)
	}
	again := generated(ours.Descriptor())
	if err := proto.Unmarshal(wire, again); err != nil {
		t.Fatal(err)
	}
	return proto.Equal(again, theirs)
}

func rpcs(t testing.TB) []*operation.Operation {
	var all []*operation.Operation
	for _, op := range catalogue(t).Operations() {
		if _, ok := types(t).Of(op.Name); ok {
			all = append(all, op)
		}
	}
	return all
}

// A body that ZITADEL would read otherwise than we do is refused.
func FuzzNoBodyIsReadInTwoWays(f *testing.F) {
	all := rpcs(f)
	index := map[operation.Name]uint16{}
	for i, op := range all {
		index[op.Name] = uint16(i)
	}
	for _, body := range []string{
		`{"organizationId":"1","username":"a","human":{"profile":{"givenName":"x"},"email":{"email":"a@b","isVerified":true}},"metadata":[{"key":"k","value":"dg=="}]}`,
		`{"organizationId":"1","organization_id":"2"}`, `{"machine":{"name":"x"}}`, `null`, `[]`, `{"human":null,"machine":{}}`, ` {"username" : "\u0041"}`,
	} {
		f.Add(index[createUser], true, []byte(body))
	}
	f.Add(index[listUsers], true, []byte(`{"query":{"offset":"1","limit":2,"asc":true},"sortingColumn":"USER_FIELD_NAME_EMAIL","queries":[{"andQuery":{"queries":[{"organizationIdQuery":{"organizationId":"1"}}]}},{"inUserIdsQuery":{"userIds":["1","2"]}}]}`))
	f.Add(index["zitadel.session.v2.SessionService/CreateSession"], true, []byte(`{"checks":{"user":{"loginName":"a"},"password":{"password":"b"}},"metadata":{"a":"YQ==","b":""},"lifetime":"3s"}`))
	f.Add(index[createUser], false, tag(tag(nil, 1, "17"), 3, "jo"))
	f.Add(index[createUser], false, tag(tag(nil, 1, "17"), 1, "18"))
	f.Add(index[listUsers], false, tag(nil, 3, string(tag(nil, 10, string(tag(nil, 1, ""))))))
	f.Add(index["zitadel.session.v2.SessionService/CreateSession"], false, tag(tag(nil, 2, string(tag(nil, 1, "a"))), 2, string(tag(nil, 1, "b"))))
	f.Fuzz(func(t *testing.T, i uint16, json bool, body []byte) {
		op := all[int(i)%len(all)]
		ours, err := types(t).Read(op.Name, message.Source{JSON: json, Body: body})
		if err != nil {
			return
		}
		theirs, err := zitadels(ours.Descriptor(), body, json)
		if err != nil {
			t.Fatalf("%s: read, and ZITADEL would not: %v", op.Name, err)
		}
		if !same(t, ours, theirs) {
			t.Fatalf("%s: read as %v, ZITADEL would read %v", op.Name, ours, theirs)
		}
	})
}

// grpc-gateway, ZITADEL's REST gateway, is the oracle for queries.
func FuzzNoQueryIsReadInTwoWays(f *testing.F) {
	all := rpcs(f)
	index := map[operation.Name]uint16{}
	for i, op := range all {
		index[op.Name] = uint16(i)
	}
	for op, q := range map[operation.Name]string{
		removeAdm: "resource.organizationId=1&user_id=2", getUser: "userId=1", listOIDC: "ctx.orgId=1&creation_allowed=true",
		listUsers: "query.offset=7&query.limit=3&query.asc=true&sortingColumn=2", createUser: "username=a&userId=b&organization_id=c",
		"zitadel.settings.v2.SettingsService/GetHostedLoginTranslation": "organizationId=1&locale=de&ignoreInheritance=true",
	} {
		f.Add(index[op], q)
	}
	f.Fuzz(func(t *testing.T, i uint16, text string) {
		op := all[int(i)%len(all)]
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		var pairs []operation.QueryPair
		for name, of := range values {
			for _, v := range of {
				pairs = append(pairs, operation.QueryPair{Name: name, Value: v})
			}
		}
		ours, err := types(t).Read(op.Name, message.Source{JSON: true, REST: true, Query: pairs})
		if err != nil {
			return
		}
		theirs := generated(ours.Descriptor())
		if err := runtime.PopulateQueryParameters(theirs, values, utilities.NewDoubleArray(nil)); err != nil {
			t.Fatalf("%s?%s: read, and ZITADEL would not: %v", op.Name, text, err)
		}
		if !same(t, ours, theirs) {
			t.Fatalf("%s?%s: read as %v, ZITADEL would read %v", op.Name, text, ours, theirs)
		}
	})
}
