package operation

import (
	"strings"
	"testing"
)

// A table that was spoilt is an error of the build, never a smaller catalogue.
func TestASpoiltTableIsAnError(t *testing.T) {
	for name, c := range map[string][2]string{
		"an RPC without a service":      {"\tList\t\t\t\n", "no operation"},
		"too few columns":               {"s.S\n\tList\tc\n", "no operation"},
		"a hazard that is none":         {"s.S\n\tList\t\t\tfatal\n", "fatal"},
		"a method that is none":         {"s.S\n\tList\t\t\t\tFETCH /v2/x\n", "FETCH"},
		"a template without a slash":    {"s.S\n\tList\t\t\t\tGET v2/x\n", "slash"},
		"a segment after all the rest":  {"s.S\n\tList\t\t\t\tGET /v2/{x=**}/y\n", "follows **"},
		"a segment of an unknown form":  {"s.S\n\tList\t\t\t\tGET /v2/*\n", "unknown form"},
		"a variable of an unknown form": {"s.S\n\tList\t\t\t\tGET /v2/{x=y/*}\n", "unknown form"},
	} {
		if _, err := parse(c[0]); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProtocolsAndHazardsHaveTheNamesThatRecordsUse(t *testing.T) {
	want := "rest connect connect-stream grpc grpc-web grpc-web-text oidc scim asset"
	var got []string
	for p := REST; p <= Asset; p++ {
		got = append(got, p.String())
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if h := Hazards(1 << 7); h.String() != "hazard-128" || Hazards(0).Names() != nil {
		t.Errorf("a class without a name is %q", h)
	}
}

func TestRefusalsThatNeedTwoFaults(t *testing.T) {
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Request{
		"an RPC path with an escape that is none":     {"POST", "/zitadel.user.v2.UserService/List%zz", "application/json"},
		"an RPC path behind escapes":                  {"POST", "/zitadel%2Euser.v2.UserService/ListUsers", "application/json"},
		"a wildcard that swallows nothing":            {"DELETE", "/management/v1/projects/1/roles", ""},
		"JSON with something after it":                {"POST", "/v2/users", "application/jsonp"},
		"JSON with something after a blank":           {"POST", "/v2/users", "application/json x"},
		"JSON with nothing but blanks after its name": {"POST", "/v2/users", "application/json  "},
	} {
		if got, err := c.Resolve(r); err == nil {
			t.Errorf("%s: resolved to %s", name, got.Operation.Name)
		}
	}
}
