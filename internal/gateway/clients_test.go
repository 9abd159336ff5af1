package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/zitadel/zitadel-go/v3/pkg/client"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/system"
	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"github.com/zitadel/zitadel-go/v3/pkg/zitadel"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/zproxy/zproxy/internal/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sdk is ZITADEL's own client, without any credential, pointed at the gateway.
func (w *world) sdk(t *testing.T, ctx context.Context) *client.Client {
	t.Helper()
	_, port, err := net.SplitHostPort(w.address)
	check(t, err)
	c, err := client.New(ctx, zitadel.New("127.0.0.1", zitadel.WithInsecure(port)))
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestZitadelsOwnClientNeedsNoCredential(t *testing.T) {
	w := newWorld(t)
	w.start(t, true)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c := w.sdk(t, ctx)
	users, err := c.UserServiceV2().ListUsers(ctx, &userv2.ListUsersRequest{})
	if err != nil || len(users.GetResult()) != 6 {
		t.Errorf("%v, %v", users, err)
	}
	_, err = c.UserServiceV2().DeleteUser(ctx, &userv2.DeleteUserRequest{UserId: w.sandbox.Users()["alice@acme.example"]})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "no rule allows anonymous:local") || !strings.Contains(err.Error(), "request ") {
		t.Errorf("refused: %v", err)
	}
	if d := status.Convert(err).Details(); len(d) != 1 || !strings.Contains(fmt.Sprint(d[0]), "ZPROXY-no_rule") {
		t.Errorf("details %v", d)
	}
	//lint:ignore SA1019 the System API is what a system user is for
	instances, err := c.SystemService().ListInstances(ctx, &system.ListInstancesRequest{})
	if err != nil || len(instances.GetResult()) != 1 {
		t.Errorf("system: %v, %v", instances, err)
	}
}

func TestConnectAndGRPCWebClientsShowRefusals(t *testing.T) {
	w := newWorld(t)
	w.start(t, true)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	for name, options := range map[string][]connect.ClientOption{"Connect": nil, "ConnectJSON": {connect.WithProtoJSON()}, "GRPCWeb": {connect.WithGRPCWeb()}, "Gzip": {connect.WithSendGzip()}} {
		at := "http://" + w.address + "/zitadel.user.v2.UserService/"
		list := connect.NewClient[userv2.ListUsersRequest, userv2.ListUsersResponse](&http.Client{Transport: tr}, at+"ListUsers", options...)
		if res, err := list.CallUnary(ctx, connect.NewRequest(&userv2.ListUsersRequest{})); err != nil || len(res.Msg.GetResult()) != 6 {
			t.Errorf("%s: %v", name, err)
		}
		lock := connect.NewClient[userv2.LockUserRequest, userv2.LockUserResponse](&http.Client{Transport: tr}, at+"LockUser", options...)
		_, err := lock.CallUnary(ctx, connect.NewRequest(&userv2.LockUserRequest{UserId: "1"}))
		if connect.CodeOf(err) != connect.CodePermissionDenied || !strings.Contains(err.Error(), "no rule allows") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// get is a REST call over a new connection.
func (w *world) call(t *testing.T, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+w.address+path, strings.NewReader(body))
	check(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(text)
}

func TestEveryKindOfServiceUserServes(t *testing.T) {
	w := newWorld(t)
	w.start(t, true)
	for path, user := range map[string]string{
		"POST /v2/users": w.users["key"], "POST /v2/organizations/_search": w.users["secret"],
		"GET /management/v1/orgs/me": w.users["pat"], "POST /system/v1/instances/_search": "platform",
	} {
		method, path, _ := strings.Cut(path, " ")
		body := "{}"
		if method == "GET" {
			body = ""
		}
		if code, text := w.call(t, method, path, body); code != 200 {
			t.Errorf("%s: %d %s", path, code, text)
		}
		if got := w.sandbox.Last().User; got != user {
			t.Errorf("%s: served as %s, want %s", path, got, user)
		}
	}
}

func TestRevokedTokenIsReplacedBehindTheCallersBack(t *testing.T) {
	w := newWorld(t)
	w.start(t, true)
	w.sandbox.RevokeTokens(w.users["key"])
	if code, text := w.call(t, "POST", "/v2/users", "{}"); code != 200 {
		t.Errorf("%d %s", code, text)
	}
	if code, text := w.call(t, "GET", "/v2/users/"+w.sandbox.Users()["alice@acme.example"], ""); code != 200 {
		t.Errorf("%d %s", code, text)
	}
}

func TestTokenEndpointDownAtStart(t *testing.T) {
	w := newWorld(t)
	w.sandbox.FailTokens(http.StatusServiceUnavailable, 0)
	w.start(t, false)
	time.Sleep(50 * time.Millisecond)
	code, text := w.call(t, "POST", "/v2/users", "{}")
	if code != http.StatusServiceUnavailable || !strings.Contains(text, "token_unavailable") {
		t.Errorf("%d %s", code, text)
	}
	admin := w.gateway.Address("admin").String()
	ready := func(path string) int {
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(must(http.NewRequest("GET", "http://"+admin+path, nil)))
		check(t, err)
		res.Body.Close()
		return res.StatusCode
	}
	if ready("/readyz") != 503 || ready("/livez") != 200 || ready("/metrics") != 200 {
		t.Error("not ready must show in /readyz, and only there")
	}
	w.sandbox.FailTokens(0, 0)
	for range 800 {
		if w.gateway.Ready() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if code, text := w.call(t, "POST", "/v2/users", "{}"); code != 200 || ready("/readyz") != 200 {
		t.Errorf("after recovery: %d %s", code, text)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The winner between a smuggled header and zproxy's own is random in ZITADEL:
// many tries see a leak.
func TestSmuggledHeadersNeverWin(t *testing.T) {
	w := newWorld(t)
	w.start(t, true)
	stranger := w.sandbox.AddPAT(w.sandbox.AddMachineUser("stranger", "IAM_OWNER"))
	alice := w.sandbox.Users()["alice@acme.example"]
	for range 300 {
		code, text := w.call(t, "GET", "/v2/users/"+alice, "", "Grpc-Metadata-Authorization", "Bearer "+stranger,
			"Grpc-Metadata-X-Zitadel-Orgid", "1", "Grpc-Metadata-X-Forwarded-Host", "evil.example", "X-Forwarded-Host", "evil.example",
			"Authorization", "Bearer "+stranger, "X-Zitadel-Orgid", "1")
		if seen := w.sandbox.Last(); code != 200 || seen.User != w.users["key"] || seen.Organization != sandbox.Organization {
			t.Fatalf("%d %s: user %s, organization %s", code, text, seen.User, seen.Organization)
		}
	}
}

func TestUnixSocketCallerIsToldByItsUser(t *testing.T) {
	w := newWorld(t)
	w.start(t, true)
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.dir, "zproxy.sock"))
	}}
	res, err := tr.RoundTrip(must(http.NewRequest("GET", "http://anything/v2/users/"+w.sandbox.Users()["alice@acme.example"], nil)))
	check(t, err)
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
	conn, err := grpc.NewClient("unix:"+filepath.Join(w.dir, "zproxy.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if users, err := userv2.NewUserServiceClient(conn).ListUsers(ctx, &userv2.ListUsersRequest{}); err != nil || len(users.GetResult()) != 6 {
		t.Errorf("gRPC: %v, %v", users, err)
	}
	conn.Close()
	w.stop()
	records, err := os.ReadFile(filepath.Join(w.dir, "audit.jsonl"))
	check(t, err)
	if bytes.Count(records, []byte(`"caller":"unix:me"`)) != 2 {
		t.Errorf("records %s", records)
	}
}

func TestRequestsThatTheEndCutsOffLeaveTheirRecord(t *testing.T) {
	w := newWorld(t)
	w.drain = "100ms"
	w.start(t, true)
	w.sandbox.FailAPI(0, 0, time.Minute)
	asked := func() bool {
		return slices.ContainsFunc(w.sandbox.Requests(), func(r sandbox.Request) bool { return r.Target == "/v2/users/1" })
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(must(http.NewRequest("GET", "http://"+w.address+"/v2/users/1", nil)))
		if err == nil {
			res.Body.Close()
		}
	}()
	until(t, "the request is under way", asked)
	w.stop()
	<-gone
	records, err := os.ReadFile(filepath.Join(w.dir, "audit.jsonl"))
	check(t, err)
	if w.cutOff == nil || !bytes.Contains(records, []byte(`"reason":"caller_gone"`)) {
		t.Errorf("end said %v, records %s", w.cutOff, records)
	}
}

// No token, key or secret appears in anything that zproxy writes or answers.
func TestNoCredentialAppearsAnywhere(t *testing.T) {
	w := newWorld(t)
	w.sandbox.FailTokens(500, 0)
	w.start(t, false)
	var out strings.Builder
	say := func(code int, text string) { fmt.Fprintln(&out, code, text) }
	say(w.call(t, "POST", "/v2/users", "{}"))
	w.sandbox.FailTokens(0, 0)
	for range 800 {
		if w.gateway.Ready() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	say(w.call(t, "POST", "/v2/users", "{}"))
	say(w.call(t, "GET", "/management/v1/orgs/me", ""))
	say(w.call(t, "GET", "/v2/users/1?access_token=canary-in-query", "", "Authorization", "Bearer canary-of-caller", "Cookie", "canary-cookie"))
	w.sandbox.RevokeTokens(w.users["pat"])
	say(w.call(t, "GET", "/management/v1/orgs/me", ""))
	for _, path := range []string{"/readyz", "/metrics"} {
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(must(http.NewRequest("GET", "http://"+w.gateway.Address("admin").String()+path, nil)))
		check(t, err)
		text, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		out.Write(text)
	}
	w.stop()
	records, err := os.ReadFile(filepath.Join(w.dir, "audit.jsonl"))
	check(t, err)
	all := out.String() + w.log.String() + string(records)
	secrets := []string{"canary", "PRIVATE KEY", "assertion="}
	for _, file := range []string{"secret", "pat"} {
		text, err := os.ReadFile(filepath.Join(w.dir, file))
		check(t, err)
		secrets = append(secrets, string(text))
	}
	for _, r := range w.sandbox.Requests() {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			secrets = append(secrets, token)
		}
	}
	for _, s := range secrets {
		if strings.Contains(all, s) {
			t.Errorf("%.12s… appears in what zproxy wrote", s)
		}
	}
	if len(secrets) < 7 {
		t.Errorf("only %d secrets were looked for", len(secrets))
	}
}
