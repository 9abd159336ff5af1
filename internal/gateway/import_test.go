package gateway_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// An import that ZITADEL fetches from a file or a bucket could give our own
// users keys and memberships, and nobody would see it.
func TestImportsFromElsewhereAreRefused(t *testing.T) {
	l := startLearning(t, func(*learning) {})
	l.eventually(t, revoke, `{"id":"1"}`, "") // nothing is left to learn
	const rpc = "zitadel.admin.v1.AdminService/ImportData"
	field := func(number protowire.Number, value string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	in, local := append(field(9, "1m"), field(1, "")...), append(field(9, "1m"), field(3, string(field(1, "/x")))...)
	text := base64.StdEncoding.EncodeToString
	// As JSON one field that nobody knows; as protobuf a group, then dataOrgsv1Local with a path.
	blanks := strings.Repeat(" ", 32)
	twoFaced := `{" ` + blanks + `|":` + "\n\n" + blanks[:10] + "\n " + blanks + "\n\n" + `"/x/y/z/a"` + "}    "
	for name, c := range map[string]struct {
		path, contentType, body string
		passes                  bool
	}{
		"REST, in the request":          {"admin/v1/import", "application/json", `{"timeout":"1m","dataOrgs":{"orgs":[]}}`, true},
		"REST, a file":                  {"admin/v1/import", "application/json", `{"timeout":"1m","dataOrgsLocal":{"path":"/x"}}`, false},
		"REST, a file of version 1":     {"admin/v1/import", "application/json", `{"data_orgsv1_local":{"path":"/x"}}`, false},
		"REST, a bucket":                {"admin/v1/import", "application/json", `{"dataOrgsS3":{}}`, false},
		"REST, snake case":              {"admin/v1/import", "application/json", `{"data_orgs_gcs":{}}`, false},
		"REST, escaped":                 {"admin/v1/import", "application/json", `{"dataOrgs\u0047cs":{}}`, false},
		"REST, beside what is in it":    {"admin/v1/import", "application/json", `{"dataOrgs":{},"dataOrgsLocal":{"path":"/x"}}`, false},
		"gRPC, in the request":          {rpc, "application/grpc", string(frame(0, in)), true},
		"gRPC, a file":                  {rpc, "application/grpc", string(frame(0, local)), false},
		"gRPC as JSON, a file":          {rpc, "application/grpc+json", string(frame(0, []byte(`{"dataOrgsLocal":{"path":"/x"}}`))), false},
		"gRPC as JSON, to ZITADEL not":  {rpc, "application/grpc+json", string(frame(0, []byte(twoFaced))), false},
		"gRPC-web as JSON, likewise":    {rpc, "application/grpc-web+json", string(frame(0, []byte(twoFaced))), false},
		"gRPC-web, a file":              {rpc, "application/grpc-web", string(frame(0, local)), false},
		"gRPC-web as text, a file":      {rpc, "application/grpc-web-text", text(frame(0, local)), false},
		"gRPC, in two messages":         {rpc, "application/grpc", string(append(frame(0, in), frame(0, local)...)), false},
		"gRPC, what cannot be read":     {rpc, "application/grpc", string(frame(0, []byte{0x0a, 0x05})), false},
		"gRPC, a file that ends early":  {rpc, "application/grpc", string(frame(0, append(field(3, ""), 0x0a, 0x05))), false},
		"gRPC-web as text, in two":      {rpc, "application/grpc-web-text", text(frame(0, in)) + text(frame(0, local)), false},
		"REST, the file in the query":   {"admin/v1/import?dataOrgsLocal.path=/x", "application/json", `{"dataOrgs":{}}`, true}, // dropped
		"REST, no body, but in a query": {"admin/v1/import?data_orgs_local.path=/x", "application/json", ``, true},
	} {
		before := l.Count()
		r, err := http.NewRequest(http.MethodPost, "http://"+l.address+"/"+c.path, strings.NewReader(c.body))
		check(t, err)
		r.Header.Set("Content-Type", c.contentType)
		res, err := http.DefaultClient.Do(r)
		check(t, err)
		answer, err := io.ReadAll(res.Body)
		check(t, err)
		check(t, res.Body.Close())
		done := l.Performed(before)
		if len(done) > 0 != c.passes {
			t.Errorf("%s: HTTP %d %s, performed %+v", name, res.StatusCode, answer, done)
		}
		for _, d := range done {
			if strings.Contains(d.Message, "/x") {
				t.Errorf("%s: performed %s", name, d.Message)
			}
		}
	}
}
