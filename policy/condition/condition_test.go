package condition_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/zproxy/zproxy/policy/condition"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

const (
	createUser    = "zitadel.user.v2.UserService/CreateUser"
	createSession = "zitadel.session.v2.SessionService/CreateSession"
	addTarget     = "zitadel.action.v2.ActionService/CreateTarget"
)

func messages(t testing.TB) *message.Types {
	t.Helper()
	types, err := message.Default()
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func environment(t testing.TB) *condition.Environment {
	t.Helper()
	e, err := condition.New(messages(t))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func compile(t testing.TB, expression string, of operation.Name) (*condition.Condition, error) {
	t.Helper()
	shape, ok := messages(t).Of(of)
	if !ok {
		t.Fatal(of, "has no message")
	}
	return environment(t).Compile(expression, shape)
}

func TestConditionsJudgeJSONAndProtobufAlike(t *testing.T) {
	field := func(wire []byte, n protowire.Number, value string) []byte {
		return protowire.AppendString(protowire.AppendTag(wire, n, protowire.BytesType), value)
	}
	both := [...]message.Source{
		{JSON: true, Body: []byte(`{"organizationId":"17","username":"jo","machine":{"name":"bot"},"metadata":[{"key":"team","value":"eA=="}]}`)},
		{Body: field(field(field(field(nil, 1, "17"), 3, "jo"), 5, string(field(nil, 1, "bot"))), 6, string(field(field(nil, 1, "team"), 2, "x")))},
	}
	for expression, want := range map[string]bool{
		`request.organization_id == "17"`:                                true,
		`request.organization_id == "18"`:                                false,
		`has(request.machine) && !has(request.human)`:                    true,
		`has(request.human)`:                                             false,
		`request.metadata.all(m, m.key in ["team", "cost"])`:             true,
		`request.metadata.exists(m, m.key == "admin")`:                   false,
		`request.username.startsWith("j") && size(request.username) < 3`: true,
		`caller == "unix:crm"`:                                           true,
		`operation.endsWith("/CreateUser")`:                              true,
		`request.machine.name.lowerAscii() == "bot"`:                     true,
		`request.human.profile.given_name == ""`:                         true, // unset messages read as empty ones
	} {
		c, err := compile(t, expression, createUser)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		for _, source := range both {
			m, err := messages(t).Read(createUser, source)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Holds(m, "unix:crm", createUser)
			if (err == nil) != want || err != nil && !errors.Is(err, condition.ErrFalse) {
				t.Errorf("%s (JSON %t) says %v, want %t", expression, source.JSON, err, want)
			}
		}
	}
}

func TestFaultyExpressionsAreFoundWhenCompiled(t *testing.T) {
	for expression, say := range map[string]string{
		``:                                  "column",
		`request.organisation_id == "17"`:   "undefined field 'organisation_id'",
		`request.organizationId == "17"`:    "undefined field 'organizationId'",
		`request.organization_id == 17`:     "no matching overload",
		`request.organization_id`:           "must be true or false",
		`request.username.matches("^a|b$")`: "undeclared reference to 'matches'",
		`client == "unix:crm"`:              "undeclared reference to 'client'",
		`request.organization_id == "17`:    "column",
		`request.user_id == null`:           "no matching overload",
		`true || ` + strings.Repeat("(true) || ", 500) + `true`: "longer than",
	} {
		_, err := compile(t, expression, createUser)
		if err == nil {
			t.Errorf("%s compiles", expression)
			continue
		}
		if !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is %q, want it to say %q in one line", expression, err, say)
		}
	}
}

func TestWhatCannotBeEvaluatedDoesNotHold(t *testing.T) {
	for expression, body := range map[string]string{
		`request.metadata[7].key == "a"`:                         `{}`,
		`request.checks.user.user_id.substring(3) == "" || true`: ``,
		`request.metadata["absent"] == b""`:                      ``,
		`1 / size(request.username) == 1`:                        `{}`,
		`request.metadata.all(a, request.metadata.all(b, request.metadata.all(c, a.key + b.key != c.key)))`: `{"metadata":[` + strings.Repeat(`{"key":"k"},`, 80) + `{"key":"k"}]}`,
	} {
		of := operation.Name(createUser)
		if body == "" {
			of, body = createSession, `{}`
		}
		c, err := compile(t, expression, of)
		if err != nil {
			t.Fatal(expression, err)
		}
		m, err := messages(t).Read(of, message.Source{JSON: true, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Holds(m, "unix:crm", string(of))
		if strings.Contains(expression, "|| true") {
			if err != nil {
				t.Errorf("%s: %v; CEL's || takes the side that can be evaluated", expression, err)
			}
			continue
		}
		if err == nil || errors.Is(err, condition.ErrFalse) {
			t.Errorf("%s says %v, want an error of evaluation", expression, err)
		}
	}
}

func TestDurationsAndEnumsHaveTheirTypes(t *testing.T) {
	c, err := compile(t, `request.timeout <= duration("10s") && request.payload_type == 1`, addTarget)
	if err != nil {
		t.Fatal(err)
	}
	m, err := messages(t).Read(addTarget, message.Source{JSON: true, Body: []byte(`{"timeout":"3s","payloadType":"PAYLOAD_TYPE_JSON"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Holds(m, "unix:a", addTarget); err != nil {
		t.Error(err)
	}
}

func BenchmarkHolds(b *testing.B) {
	c, err := compile(b, `request.organization_id == "17"`, createUser)
	if err != nil {
		b.Fatal(err)
	}
	m, err := messages(b).Read(createUser, message.Source{JSON: true, Body: []byte(`{"organizationId":"17"}`)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if c.Holds(m, "unix:crm", createUser) != nil {
			b.Fatal("does not hold")
		}
	}
}

func BenchmarkNew(b *testing.B) {
	types := messages(b)
	for b.Loop() {
		e, err := condition.New(types)
		if err != nil {
			b.Fatal(err)
		}
		shape, _ := types.Of(createUser)
		if _, err := e.Compile(`request.organization_id == "17"`, shape); err != nil {
			b.Fatal(err)
		}
	}
}
