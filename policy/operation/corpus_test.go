package operation_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
)

// requestCase is a line of testdata/requests.txt.
type requestCase struct {
	in        operation.Request
	want      string // a reason or an operation
	forwarded string
}

func corpus(t testing.TB) []requestCase {
	t.Helper()
	text, err := os.ReadFile("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []requestCase
	for line := range strings.SplitSeq(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		target, err := strconv.Unquote(`"` + strings.ReplaceAll(columns[1], `"`, `\"`) + `"`)
		if err != nil || len(columns) < 4 {
			t.Fatalf("requests.txt: cannot read %q: %v", line, err)
		}
		k := requestCase{in: operation.Request{Method: columns[0], Target: target}, want: columns[3]}
		if columns[2] != "-" {
			k.in.ContentType = columns[2]
		}
		if len(columns) > 4 {
			k.forwarded = strings.Replace(columns[4], "=", target, 1)
			if columns[4] != "=" {
				k.forwarded = columns[4]
			}
		}
		cases = append(cases, k)
	}
	return cases
}

func TestNoSpellingEscapesItsOperation(t *testing.T) {
	c := catalogue(t)
	gateway := newOracle(t, c)
	for _, k := range corpus(t) {
		got, err := c.Resolve(k.in)
		if err == nil {
			if string(got.Operation.Name) != k.want || forwarded(got) != k.forwarded {
				t.Errorf("%+v: %s as %q, want %s as %q", k.in, got.Operation.Name, forwarded(got), k.want, k.forwarded)
			}
			gateway.agrees(t, c, k.in, got)
			continue
		}
		var e *operation.Error
		if !errors.As(err, &e) || string(e.Reason) != k.want || e.Detail == "" {
			t.Errorf("%+v: %v (%+v), want %s", k.in, err, e, k.want)
		}
		if got.Operation != nil || got.Path != "" || got.Variables != nil {
			t.Errorf("%+v: refused, and still something could be forwarded: %+v", k.in, got)
		}
	}
}

func TestAQueryHasABoundedNumberOfParameters(t *testing.T) {
	c := catalogue(t)
	for n, ok := range map[int]bool{256: true, 257: false} {
		got, err := c.Resolve(operation.Request{Method: "GET", Target: "/v2/users/1?a=b" + strings.Repeat("&a=b", n-1)})
		if (err == nil) != ok || ok && len(got.QueryPairs) != n {
			t.Errorf("%d parameters: %d, %v", n, len(got.QueryPairs), err)
		}
	}
}

func TestQueryValuesAreDecodedOnce(t *testing.T) {
	got, err := catalogue(t).Resolve(operation.Request{Method: "GET", Target: "/v2/users/1?user%49d=%32%2537+9"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.QueryPairs) != 1 || got.QueryPairs[0] != (operation.QueryPair{Name: "userId", Value: "2%37 9"}) || got.Query != "userId=2%2537+9" {
		t.Errorf("parameters %q, query %q", got.QueryPairs, got.Query)
	}
}

// What is refused for one reason in several cases says which it was.
func TestRefusalsNameWhatIsWrong(t *testing.T) {
	c := catalogue(t)
	for in, want := range map[operation.Request]string{
		{Method: "GET", Target: "/v2/users/a%5Cb"}:  "backslash",
		{Method: "GET", Target: "/v2/users/a%01b"}:  "control",
		{Method: "GET", Target: "/v2/users/%C3%A4"}: "non-ASCII",
		{Method: "GET", Target: "/v2/users/a%3Bb"}:  "';'",
		{Method: "GET", Target: "/v2/users/a\"b"}:   "must be escaped",
		{Method: "POST", Target: "/zitadel.user.v2.UserService/ListUsers", ContentType: "application/connect+json"}:       "does not stream",
		{Method: "POST", Target: "/zitadel.user.v2.UserService/ListUsers", ContentType: "text/plain"}:                     "needs the content type",
		{Method: "POST", Target: "/zitadel.admin.v1.AdminService/ImportData", ContentType: "application/grpc+json"}:       "as protobuf",
		{Method: "POST", Target: "/zitadel.admin.v1.AdminService/ImportData", ContentType: "application/json"}:            "no Connect",
		{Method: "POST", Target: "/zitadel.user.v2.UserService/ListUsers", ContentType: "application/grpc-web-text"}:      "v1 services only",
		{Method: "POST", Target: "/zitadel.user.v2.UserService/ListUsers", ContentType: "application/grpc; charset=utf8"}: "without parameters",
	} {
		_, err := c.Resolve(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want it to say %q", in, err, want)
		}
	}
}

func TestRefusalsKeepTheProtocolOfTheirPath(t *testing.T) {
	c := catalogue(t)
	for in, want := range map[operation.Request]operation.Protocol{
		{Method: "POST", Target: "/a.B/C", ContentType: "application/grpc+proto"}:     operation.GRPC,
		{Method: "POST", Target: "/a.B/C", ContentType: "application/grpc-web+proto"}: operation.GRPCWeb,
		{Method: "POST", Target: "/a.B/C", ContentType: "application/grpc-web-text"}:  operation.GRPCWebText,
		{Method: "POST", Target: "/a.B/C", ContentType: "application/connect+proto"}:  operation.ConnectStream,
		{Method: "POST", Target: "/a.B/C", ContentType: "application/json"}:           operation.Connect,
		{Method: "GET", Target: "/nothing"}:                                           operation.REST,
		{Method: "GET", Target: "*"}:                                                  operation.REST,
		{Method: "GET", Target: "/oauth/v2/token"}:                                    operation.OIDC,
		{Method: "GET", Target: "/scim/v2/1/Groups"}:                                  operation.SCIM,
		{Method: "GET", Target: "/assets/v1/x"}:                                       operation.Asset,
	} {
		got, err := c.Resolve(in)
		if err == nil || got.Protocol != want {
			t.Errorf("%+v: %s, %v, want %s", in, got.Protocol, err, want)
		}
	}
}
