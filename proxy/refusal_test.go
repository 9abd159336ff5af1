package proxy_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy"
)

// counted is an upstream that must not be reached.
type counted struct{ n atomic.Int64 }

func (c *counted) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	c.n.Add(1)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

// Each of these is refused before a byte goes upstream, with its own reason in
// the answer and in the record.
func TestRequestsThatAreNeverForwarded(t *testing.T) {
	const read = "GET /v2/users/1 HTTP/1.1\r\n"
	const lock = "POST /v2/users/1/lock HTTP/1.1\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		request string // without Host and the empty line, which are added
		status  int
		reason  string
	}{
		"Upgrade":               {read + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", 400, "upgrade"},
		"UpgradeWebSocket":      {read + "Connection: Upgrade\r\nUpgrade: websocket\r\n", 400, "upgrade"},
		"ConnectionUpgradeOnly": {read + "Connection: upgrade\r\n", 400, "upgrade"},
		"MethodOverride":        {lock + "X-HTTP-Method-Override: DELETE\r\nContent-Length: 2\r\n\r\n{}", 400, "malformed_request"},
		"UnderscoreHeader":      {read + "Grpc_Metadata_Authorization: Bearer x\r\n", 400, "malformed_request"},
		"TwoContentTypes":       {lock + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 400, "malformed_request"},
		"TwoOrganizations":      {read + "X-Zitadel-Orgid: 1\r\nx-zitadel-orgid: 2\r\n", 400, "organization_header"},
		"TwoAuthorizations":     {read + "Authorization: Bearer a\r\nauthorization: Bearer b\r\n", 400, "malformed_request"},
		"TwoGRPCEncodings":      {"POST /" + userLock + " HTTP/1.1\r\nContent-Type: application/grpc\r\nGrpc-Encoding: identity\r\nGrpc-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x00\x00\x00\x00\x00", 200, "malformed_request"},
		"FormBody":              {"POST /v2/users/1/lock HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b", 415, "content_type"},
		"TextBody":              {"POST /v2/users/1/lock HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415, "content_type"},
		"NoContentType":         {"POST /v2/users/1/lock HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 415, "content_type"},
		"EncodedSlash":          {"POST /v2/users/1%2Flock HTTP/1.1\r\n", 400, "not_canonical"},
		"EncodedLetter":         {"POST /v2/users/1/%6cock HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 400, "not_canonical"},
		"DoubleSlash":           {"GET //v2/users/1 HTTP/1.1\r\n", 400, "not_canonical"},
		"DotSegment":            {"GET /v2/x/../users/1 HTTP/1.1\r\n", 400, "not_canonical"},
		"TrailingSlash":         {"GET /v2/users/1/ HTTP/1.1\r\n", 400, "not_canonical"},
		"AbsoluteForm":          {"GET http://evil.example/v2/users/1 HTTP/1.1\r\n", 403, "foreign_host"},
		"AbsoluteFormOfOwnHost": {"GET http://localhost/v2/users/1 HTTP/1.1\r\n", 400, "not_canonical"},
		"Semicolon":             {"GET /v2/users/1;a=b HTTP/1.1\r\n", 400, "not_canonical"},
		"BadQuery":              {"GET /v2/users/1?a=%zz HTTP/1.1\r\n", 400, "bad_query"},
		"Options":               {"OPTIONS /v2/users/1 HTTP/1.1\r\n", 405, "method_not_allowed"},
		"OptionsStar":           {"OPTIONS * HTTP/1.1\r\n", 400, "not_canonical"},
		"Head":                  {"HEAD /v2/users/1 HTTP/1.1\r\n", 405, "method_not_allowed"},
		"UnknownPath":           {"GET /v2/nothing HTTP/1.1\r\n", 404, "unknown_operation"},
		"TokenEndpoint":         {"GET /oauth/v2/token HTTP/1.1\r\n", 404, "unknown_operation"},
		"Metrics":               {"GET /debug/metrics HTTP/1.1\r\n", 404, "unknown_operation"},
		"Console":               {"GET /ui/console HTTP/1.1\r\n", 404, "unknown_operation"},
		"Reflection":            {"POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo HTTP/1.1\r\nContent-Type: application/grpc\r\n", 200, "unknown_operation"},
		"NoRule":                {"GET /v2/users HTTP/1.1\r\n", 405, "method_not_allowed"},
		"OperationWithoutRule":  {"DELETE /v2/users/1 HTTP/1.1\r\n", 403, "no_rule"},
		"Browser":               {read + "Origin: http://localhost\r\n", 403, "browser"},
		"BrowserFetchMetadata":  {read + "Sec-Fetch-Site: same-origin\r\n", 403, "browser"},
		"OwnUserInPath":         {"GET /v2/users/" + ownID + " HTTP/1.1\r\n", 403, "own_service_user"},
		"OwnUserInEscapedPath":  {"GET /v2/users/%32" + ownID[1:] + " HTTP/1.1\r\n", 403, "own_service_user"},
		"OwnUserInQuery":        {"GET /v2/users/1?x=" + ownID + " HTTP/1.1\r\n", 403, "own_service_user"},
		"HeaderTooLarge":        {read + "Accept: " + strings.Repeat("a", 20<<10) + "\r\n", 431, "header_too_large"},
		"BodyTooLarge":          {lock + fmt.Sprintf("Content-Length: %d\r\n\r\n", 2<<20), 413, "body_too_large"},
		"InspectedBodyTooLarge": {"POST /v2/users HTTP/1.1\r\nContent-Type: application/json\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", 512<<10), 413, "body_too_large"},
		"CompressedREST":        {"POST /v2/users HTTP/1.1\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415, "content_encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			up := new(counted)
			g := newGateway(t, up, options{})
			res, body := g.raw(t, c.request)
			if res.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", res.StatusCode, c.status, body)
			}
			if got := res.Header.Get("Proxy-Status"); !strings.Contains(got, `details="`+c.reason+`"`) {
				t.Errorf("Proxy-Status %q, want reason %s", got, c.reason)
			}
			records := g.records(t, 1)
			if r := records[0]; r.Reason != c.reason || r.Kind != "outcome" || r.ID != res.Header.Get(proxy.RequestIDHeader) {
				t.Errorf("record %+v", r)
			}
			if r := records[0]; (r.Effect == "deny") != (c.reason != "body_too_large" && c.reason != "content_encoding") {
				t.Errorf("effect %s", r.Effect) // the body is refused after the rules allowed the operation
			}
			if n := up.n.Load(); n != 0 || len(records) != 1 {
				t.Errorf("%d requests went upstream, %d records", n, len(records))
			}
		})
	}
}

// raw sends bytes as they are, with a Host that the listener owns.
func (g *gateway) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", g.address)
	check(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	line, rest, _ := strings.Cut(request, "\r\n")
	if !strings.Contains(rest, "\r\n\r\n") {
		rest += "\r\n"
	}
	_, err = io.WriteString(c, line+"\r\nHost: "+g.address+"\r\n"+rest)
	check(t, err)
	method, _, _ := strings.Cut(line, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	check(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	return res, string(body)
}

// The own service user's id is found in every transport's body.
func TestOwnServiceUserInBodyIsRefusedInEveryTransport(t *testing.T) {
	escaped := `{"userId":"\u0032` + ownID[1:] + `"}`
	protobuf := append([]byte{1<<3 | 2, byte(len(ownID))}, ownID...)
	for name, c := range map[string]struct {
		path, contentType string
		header            map[string]string
		body              []byte
	}{
		"REST":                    {"/v2/users", "application/json", nil, []byte(`{"queries":[{"inUserIdsQuery":{"userIds":["` + ownID + `"]}}]}`)},
		"RESTEscaped":             {"/v2/users", "application/json", nil, []byte(escaped)},
		"ConnectJSON":             {"/" + userLock, "application/json", nil, []byte(`{"user_id":"` + ownID + `"}`)},
		"ConnectEscaped":          {"/" + userLock, "application/json", nil, []byte(escaped)},
		"ConnectProto":            {"/" + userLock, "application/proto", nil, protobuf},
		"ConnectGzip":             {"/" + userLock, "application/proto", map[string]string{"Content-Encoding": "gzip"}, zipped(protobuf)},
		"GRPC":                    {"/" + userLock, "application/grpc", nil, framed(0, protobuf)},
		"GRPCGzip":                {"/" + userLock, "application/grpc", map[string]string{"Grpc-Encoding": "gzip"}, framed(1, zipped(protobuf))},
		"GRPCWeb":                 {"/" + userLock, "application/grpc-web+proto", nil, framed(0, protobuf)},
		"GRPCWebTextManagementV1": {"/zitadel.management.v1.ManagementService/GetUserByID", "application/grpc-web-text", nil, []byte(base64.StdEncoding.EncodeToString(framed(0, protobuf)))},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/chunked=%v", name, chunked), func(t *testing.T) {
				up := new(counted)
				g := newGateway(t, up, options{})
				var body io.Reader = bytes.NewReader(c.body)
				if chunked {
					body = io.MultiReader(body) // hides the length
				}
				r, err := http.NewRequest(http.MethodPost, g.url+c.path, body)
				check(t, err)
				r.Header.Set("Content-Type", c.contentType)
				for k, v := range c.header {
					r.Header.Set(k, v)
				}
				res, err := client(t, 2).Do(r)
				check(t, err)
				res.Body.Close()
				if got := res.Header.Get("Proxy-Status"); !strings.Contains(got, "own_service_user") {
					t.Errorf("Proxy-Status %q, status %d", got, res.StatusCode)
				}
				if n := up.n.Load(); n != 0 {
					t.Errorf("%d requests went upstream", n)
				}
				if r := g.records(t, 1)[0]; r.Reason != "own_service_user" || r.Effect != "deny" || r.ServiceUser != "" {
					t.Errorf("record %+v", r)
				}
			})
		}
	}
}

func framed(flags byte, message []byte) []byte {
	out := []byte{flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(out[1:], uint32(len(message)))
	return append(out, message...)
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text)
	_ = z.Close()
	return b.Bytes()
}

// A body that cannot be looked at is refused where it could name a user.
func TestBodyThatCannotBeReadIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		contentType, encoding string
		body                  []byte
		reason                string
	}{
		"TruncatedFrame":   {"application/grpc", "", []byte{0, 0, 0, 0, 9, 1}, "unreadable_body"},
		"UnknownFlag":      {"application/grpc", "", framed(2, nil), "unreadable_body"},
		"UnknownEncoding":  {"application/grpc", "zstd", framed(1, []byte("x")), "content_encoding"},
		"NotGzip":          {"application/grpc", "gzip", framed(1, []byte("x")), "unreadable_body"},
		"GzipWithTail":     {"application/grpc", "gzip", framed(1, append(zipped([]byte("x")), "tail"...)), "unreadable_body"},
		"NotEvenAPrefix":   {"application/grpc", "", []byte{0}, "unreadable_body"},
		"FlagWithoutCodec": {"application/grpc", "", append(framed(0, nil), framed(3, nil)...), "unreadable_body"},
	} {
		t.Run(name, func(t *testing.T) {
			up := new(counted)
			g := newGateway(t, up, options{})
			r, err := http.NewRequest(http.MethodPost, g.url+"/"+userLock, bytes.NewReader(c.body))
			check(t, err)
			r.Header.Set("Content-Type", c.contentType)
			if c.encoding != "" {
				r.Header.Set("Grpc-Encoding", c.encoding)
			}
			res, err := client(t, 2).Do(r)
			check(t, err)
			res.Body.Close()
			if got := res.Header.Get("Proxy-Status"); !strings.Contains(got, c.reason) || up.n.Load() != 0 {
				t.Errorf("Proxy-Status %q, %d upstream", got, up.n.Load())
			}
		})
	}
}

func TestDecompressionIsBounded(t *testing.T) {
	g := newGateway(t, new(counted), options{})
	r, err := http.NewRequest(http.MethodPost, g.url+"/"+userLock, bytes.NewReader(zipped(make([]byte, 64<<20))))
	check(t, err)
	r.Header.Set("Content-Type", "application/proto")
	r.Header.Set("Content-Encoding", "gzip")
	res, err := client(t, 1).Do(r)
	check(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

// Without evidence nothing is forwarded: at once for what changes state, and
// from the first lost record on for everything.
func TestNothingIsForwardedWithoutEvidence(t *testing.T) {
	up := new(counted)
	g := newGateway(t, up, options{})
	g.log.failWith(errors.New("no space left on device"))
	lock := func() *http.Response {
		res, err := client(t, 1).Post(g.url+"/v2/users/1/lock", "application/json", strings.NewReader("{}"))
		check(t, err)
		res.Body.Close()
		return res
	}
	read := func() *http.Response {
		res, err := client(t, 1).Get(g.url + "/v2/users/1")
		check(t, err)
		res.Body.Close()
		return res
	}
	if res := lock(); res.StatusCode != 503 || up.n.Load() != 0 {
		t.Errorf("write: status %d, %d upstream", res.StatusCode, up.n.Load())
	}
	if res := read(); res.StatusCode != 503 || up.n.Load() != 0 {
		t.Errorf("read: status %d, %d upstream", res.StatusCode, up.n.Load())
	}
	g.log.failWith(nil)
	if res := read(); res.StatusCode != 200 || up.n.Load() != 1 {
		t.Errorf("after recovery: status %d, %d upstream", res.StatusCode, up.n.Load())
	}
}
