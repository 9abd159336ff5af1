package message_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

const (
	createUser = "zitadel.user.v2.UserService/CreateUser"
	listUsers  = "zitadel.user.v2.UserService/ListUsers"
	getUser    = "zitadel.user.v2.UserService/GetUserByID"
	removeAdm  = "zitadel.internal_permission.v2beta.InternalPermissionService/DeleteAdministrator"
	listOIDC   = "zitadel.settings.v2.SettingsService/GetActiveIdentityProviders"
)

func query(pairs ...string) []operation.QueryPair {
	var out []operation.QueryPair
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, operation.QueryPair{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func variable(field, value string) []operation.Variable {
	return []operation.Variable{{Field: field, Value: value}}
}

func TestEveryCarrierFillsTheSameMessage(t *testing.T) {
	want := `{"organizationId":"17","username":"jo"}`
	wire := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "17")
	wire = protowire.AppendString(protowire.AppendTag(wire, 3, protowire.BytesType), "jo")
	for name, s := range map[string]message.Source{
		"JSON, camel case": {JSON: true, Body: []byte(`{"organizationId":"17","username":"jo"}`)},
		"JSON, snake case": {JSON: true, Body: []byte(`{"organization_id":"17","username":"jo"}`)},
		"JSON, escapes":    {JSON: true, Body: []byte(`{"organization\u005fid":"\u0031\u0037","username":"jo"}`)},
		"protobuf":         {Body: wire},
		"REST body":        {JSON: true, REST: true, BodyIsMessage: true, Body: []byte(`{"organizationId":"17","username":"jo"}`)},
		"path and body":    {JSON: true, REST: true, BodyIsMessage: true, Body: []byte(`{"username":"jo"}`), Variables: variable("organization_id", "17")},
		"path and query":   {JSON: true, REST: true, Variables: variable("organization_id", "17"), Query: query("username", "jo")},
		"query":            {JSON: true, REST: true, Query: query("organizationId", "17", "username", "jo")},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := types(t).Read(createUser, s)
			if err != nil {
				t.Fatal(err)
			}
			if got := compact(t, m); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func compact(t testing.TB, m protoreflect.Message) string {
	t.Helper()
	text, err := protojson.Marshal(m.Interface())
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), " ", "")
}

func TestQueriesReachIntoMessages(t *testing.T) {
	m, err := types(t).Read(removeAdm, message.Source{
		JSON: true, REST: true, Variables: variable("user_id", "9"), Query: query("resource.projectGrant.organization_id", "17", "resource.project_grant.project_id", "4"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := compact(t, m), `{"userId":"9","resource":{"projectGrant":{"projectId":"4","organizationId":"17"}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m, err = types(t).Read(listUsers, message.Source{JSON: true, REST: true, Query: query("query.offset", "7", "query.limit", "3", "sortingColumn", "2")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := compact(t, m), `{"query":{"offset":"7","limit":3},"sortingColumn":"USER_FIELD_NAME_FIRST_NAME"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m, err = types(t).Read("zitadel.user.v2.UserService/ListAuthenticationFactors", message.Source{JSON: true, REST: true, Query: query("states", "1", "states", "AUTH_FACTOR_STATE_READY")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := compact(t, m), `{"states":["AUTH_FACTOR_STATE_NOT_READY","AUTH_FACTOR_STATE_READY"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m, err = types(t).Read(listOIDC, message.Source{JSON: true, REST: true, Query: query("ctx.org_id", "17", "creationAllowed", "true")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := compact(t, m), `{"ctx":{"orgId":"17"},"creationAllowed":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func tag(wire []byte, n protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(wire, n, protowire.BytesType), value)
}

func TestWhatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	rest := func(body string) message.Source {
		return message.Source{JSON: true, REST: true, BodyIsMessage: true, Body: []byte(body)}
	}
	json := func(body string) message.Source { return message.Source{JSON: true, Body: []byte(body)} }
	wire := func(parts ...[]byte) message.Source { return message.Source{Body: bytes.Join(parts, nil)} }
	get := func(pairs ...string) message.Source {
		return message.Source{JSON: true, REST: true, Query: query(pairs...)}
	}
	deep := bytes.Repeat([]byte(`{"queries":[{"andQuery":`), 60)
	for name, c := range map[string]struct {
		op  operation.Name
		s   message.Source
		say string
	}{
		"an RPC that has no message":          {"oidc/keys", json(`{}`), "has none that this build knows"},
		"no body where JSON is one":           {createUser, json(``), "unexpected token"},
		"no JSON":                             {createUser, json(`{"username"`), "unexpected"},
		"a field in both spellings":           {createUser, json(`{"organizationId":"1","organization_id":"2"}`), "duplicate"},
		"a field twice":                       {createUser, json(`{"username":"1","username":"2"}`), "duplicate"},
		"a field twice, once escaped":         {createUser, json(`{"username":"1","us\u0065rname":"2"}`), "duplicate"},
		"a field twice, once null":            {createUser, json(`{"username":"1","username":null}`), "duplicate"},
		"an unknown field":                    {createUser, json(`{"orgId":"1"}`), "unknown field"},
		"a field in another case":             {createUser, json(`{"OrganizationID":"1"}`), "unknown field"},
		"two members of a oneof":              {createUser, json(`{"human":{},"machine":{}}`), "oneof"},
		"a second message":                    {createUser, rest(`{"username":"a"} {"username":"b"}`), "unexpected token"},
		"a byte order mark":                   {createUser, json("\ufeff{}"), "syntax error"},
		"JSON that is not UTF-8":              {createUser, json("{\"username\":\"\xff\"}"), "UTF-8"},
		"a body beside the query":             {getUser, message.Source{JSON: true, REST: true, Body: []byte(`{}`)}, "takes no body"},
		"path and body that disagree":         {getUser, message.Source{JSON: true, REST: true, BodyIsMessage: true, Body: []byte(`{"userId":"2"}`), Variables: variable("user_id", "1")}, "another value than the path"},
		"an unknown variable":                 {getUser, message.Source{REST: true, JSON: true, Variables: variable("who", "1")}, "no field"},
		"an unknown parameter":                {getUser, get("_", "1"), "no field"},
		"a parameter twice":                   {getUser, get("userId", "1", "userId", "2"), "more than once"},
		"a parameter in both spellings":       {getUser, get("userId", "1", "user_id", "1"), "more than once"},
		"a parameter for what the path sets":  {getUser, message.Source{JSON: true, REST: true, Variables: variable("user_id", "1"), Query: query("userId", "1")}, "more than once"},
		"two members of a oneof in the query": {removeAdm, get("resource.organizationId", "1", "resource.projectId", "2"), "more than once"},
		"a member and one inside another":     {removeAdm, get("resource.organizationId", "1", "resource.projectGrant.projectId", "2"), "more than once"},
		"a parameter that is a message":       {removeAdm, get("resource", "1"), "cannot be"},
		"a path through what is no message":   {getUser, get("userId.x", "1"), "no message"},
		"a list of messages in the query":     {listUsers, get("queries", "1"), "cannot be"},
		"a parameter of a wrong kind":         {listUsers, get("query.limit", "many"), "cannot be"},
		"an enum's name that is none":         {listUsers, get("sortingColumn", "AGE"), "cannot be"},
		"a parameter that is not UTF-8":       {getUser, get("userId", "\xfc"), "cannot be"},
		"a number that is too large":          {listUsers, get("query.limit", "4294967296"), "cannot be"},
		"a variable of a wrong kind":          {listUsers, message.Source{JSON: true, REST: true, Variables: variable("query.limit", "x")}, "cannot be"},
		"a number as its wire type":           {listUsers, wire(tag(nil, 2, "x")), "wire type"},
		"a key that ends early":               {"zitadel.session.v2.SessionService/CreateSession", wire(tag(nil, 2, "\x0a\x05")), "unexpected EOF"},
		"a key without a tag":                 {"zitadel.session.v2.SessionService/CreateSession", wire(tag(nil, 2, "\x8a")), "unexpected EOF"},
		"a bool in another spelling":          {listOIDC, get("autoLinking", "T"), "cannot be"},
		"an unknown field on the wire":        {createUser, wire(tag(nil, 4000, "x")), "no field 4000"},
		"a field twice on the wire":           {createUser, wire(tag(tag(nil, 1, "1"), 1, "2")), "more than once"},
		"a oneof twice on the wire":           {createUser, wire(tag(tag(nil, 4, ""), 5, "")), "more than once"},
		"a message in two parts":              {createUser, wire(tag(tag(nil, 4, ""), 4, "")), "more than once"},
		"a wire type that readers skip":       {createUser, wire(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)), "wire type"},
		"a group":                             {createUser, wire(protowire.AppendTag(protowire.AppendTag(nil, 1, protowire.StartGroupType), 1, protowire.EndGroupType)), "wire type"},
		"wire that ends early":                {createUser, wire([]byte{0x0a, 0x05, 'x'}), "unexpected EOF"},
		"a tag that ends early":               {createUser, wire([]byte{0x8a}), "unexpected EOF"},
		"a message within that ends early":    {createUser, wire(tag(nil, 4, "\x0a\x05")), "unexpected EOF"},
		"a string that is not UTF-8":          {createUser, wire(tag(nil, 1, "\xff")), "UTF-8"},
		"JSON that nests too deep":            {listUsers, json(string(deep)), "recursion"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := types(t).Read(c.op, c.s)
			if err == nil {
				t.Fatalf("read as %v", m)
			}
			if !strings.Contains(err.Error(), c.say) {
				t.Errorf("error is %q, want it to say %q", err, c.say)
			}
		})
	}
}

func TestWireThatNestsTooDeepIsRefused(t *testing.T) {
	shape, _ := types(t).Of(listUsers)
	filter := shape.Fields().ByName("queries").Message()
	not := filter.Fields().ByName("not_query")
	inner := not.Message().Fields().ByName("query")
	var wire []byte
	for range 200 {
		wire = tag(nil, not.Number(), string(tag(nil, inner.Number(), string(wire))))
	}
	_, err := types(t).Read(listUsers, message.Source{Body: tag(nil, 3, string(wire))})
	if err == nil || !strings.Contains(err.Error(), "nests deeper than 100 messages") {
		t.Fatal(err)
	}
}

func TestKeysOfMapsCountOnce(t *testing.T) {
	const createSession = "zitadel.session.v2.SessionService/CreateSession"
	entry := func(key, value string) string { return string(tag(tag(nil, 1, key), 2, value)) }
	if _, err := types(t).Read(createSession, message.Source{Body: tag(tag(nil, 2, entry("a", "1")), 2, entry("b", "2"))}); err != nil {
		t.Error(err)
	}
	for name, second := range map[string]string{"again": entry("a", "2"), "in another order": string(tag(tag(nil, 2, "2"), 1, "a"))} {
		if _, err := types(t).Read(createSession, message.Source{Body: tag(tag(nil, 2, entry("a", "1")), 2, second)}); err == nil {
			t.Errorf("a key %s is read", name)
		}
	}
	if _, err := types(t).Read(createSession, message.Source{Body: tag(tag(nil, 2, entry("", "1")), 2, string(tag(nil, 2, "2")))}); err == nil {
		t.Error("the default key is read twice")
	}
}

// zitadels reads body as ZITADEL's servers do: unknown fields are skipped.
func zitadels(shape protoreflect.MessageDescriptor, body []byte, json bool) (proto.Message, error) {
	m := generated(shape)
	if json {
		return m, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, m)
	}
	return m, proto.Unmarshal(body, m)
}

// Read, a part takes a hundred times what it takes on the wire.
func TestMessagesOfManyPartsAreRefused(t *testing.T) {
	many := bytes.Repeat([]byte("{},"), 60_000)
	for name, s := range map[string]message.Source{
		"protobuf": {Body: bytes.Repeat([]byte{0x1a, 0}, 60_000)},
		"JSON":     {JSON: true, Body: []byte(`{"queries":[` + string(many[:len(many)-1]) + `]}`)},
	} {
		if _, err := types(t).Read(listUsers, s); err == nil || !strings.Contains(err.Error(), "more than 50000 parts") {
			t.Errorf("%s: %v", name, err)
		}
	}
	states := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), bytes.Repeat([]byte{1}, 60_000))
	if _, err := types(t).Read("zitadel.user.v2.UserService/ListAuthenticationFactors", message.Source{Body: append(states, 0x1a, 0)}); err == nil {
		t.Error("packed values are not counted")
	}
}
