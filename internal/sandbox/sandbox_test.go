package sandbox_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/golang-jwt/jwt/v5"
	"github.com/zitadel/zitadel-go/v3/pkg/client"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/auth"
	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/management"
	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"github.com/zitadel/zitadel-go/v3/pkg/zitadel"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zproxy/zproxy/internal/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What waits to be answered late, its body unread, ends with the sandbox.
func TestCloseEndsRequestsThatAreAnsweredLate(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.FailAPI(0, 1, time.Hour)
	c, err := net.Dial("tcp", s.Issuer().Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /v2/users HTTP/1.1\r\nHost: "+s.Issuer().Host+"\r\nContent-Length: 9\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	for s.Count() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T) (s *sandbox.Sandbox, reader string) {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s, s.AddMachineUser("reader", "ORG_OWNER_VIEWER")
}

// call is one HTTP request with a token.
func call(t *testing.T, method, url, token, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	check(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(r)
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(text)
}

func TestTheSameOperationByEveryTransport(t *testing.T) {
	s, id := start(t)
	token, base := s.AddPAT(id), s.Issuer().String()
	for _, path := range []string{"/v2/users", "/zitadel.user.v2.UserService/ListUsers"} {
		if code, body := call(t, http.MethodPost, base+path, token, "{}"); code != 200 || !strings.Contains(body, "alice@acme.example") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(s.Issuer().Host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	defer conn.Close()
	answer, err := userv2.NewUserServiceClient(conn).ListUsers(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), &userv2.ListUsersRequest{})
	if err != nil || len(answer.GetResult()) != 4 {
		t.Errorf("grpc: %v, %v", answer, err)
	}
	_, err = userv2.NewUserServiceClient(conn).ListUsers(ctx, &userv2.ListUsersRequest{})
	if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "auth header missing") {
		t.Errorf("without a token: %v", err)
	}
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	web := connect.NewClient[userv2.ListUsersRequest, userv2.ListUsersResponse](&http.Client{Transport: tr}, base+"/zitadel.user.v2.UserService/ListUsers", connect.WithGRPCWeb())
	r := connect.NewRequest(&userv2.ListUsersRequest{})
	r.Header().Set("Authorization", "Bearer "+token)
	if res, err := web.CallUnary(ctx, r); err != nil || len(res.Msg.GetResult()) != 4 {
		t.Errorf("grpc-web: %v", err)
	}
}

func TestZitadelsOwnClientLogsInWithAKeyFile(t *testing.T) {
	s, id := start(t)
	key, err := s.KeyFile(id)
	check(t, err)
	file := t.TempDir() + "/key.json"
	check(t, writeFile(file, key))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	api, err := client.New(ctx, zitadel.New("127.0.0.1", zitadel.WithInsecure(s.Issuer().Port())),
		client.WithAuth(client.DefaultServiceUserAuthentication(file, "openid", client.ScopeZitadelAPI())))
	check(t, err)
	me, err := api.AuthService().GetMyUser(ctx, &auth.GetMyUserRequest{})
	if err != nil || me.GetUser().GetId() != id {
		t.Errorf("%v, %v", me, err)
	}
	if _, err := api.ManagementService().GetMyOrg(ctx, &management.GetMyOrgRequest{}); err != nil {
		t.Error(err)
	}
	_ = api.Close()
	time.Sleep(50 * time.Millisecond)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestTokenEndpointFailsAsZitadels(t *testing.T) {
	s, id := start(t)
	secret := s.AddSecret(id)
	form := func(body string) (int, string) {
		return call(t, http.MethodPost, s.Issuer().String()+"/oauth/v2/token", "", body, "Content-Type", "application/x-www-form-urlencoded")
	}
	scope := "&scope=openid+urn:zitadel:iam:org:project:id:zitadel:aud"
	code, body := form("grant_type=client_credentials&client_id=reader&client_secret=" + secret + scope)
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	check(t, json.Unmarshal([]byte(body), &answer))
	if code != 200 || answer.ExpiresIn < 43190 || answer.ExpiresIn > 43200 {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := call(t, http.MethodPost, s.Issuer().String()+"/v2/users", answer.AccessToken, "{}"); code != 200 {
		t.Errorf("its token: %d", code)
	}
	if code, body := form("grant_type=client_credentials&client_id=reader&client_secret=wrong" + scope); code != 400 || !strings.Contains(body, "Secret.Invalid") {
		t.Errorf("wrong secret: %d %s", code, body)
	}
	if code, body := form("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=x.y.z" + scope); code != 500 || !strings.Contains(body, "server_error") {
		t.Errorf("bad assertion: %d %s", code, body)
	}
	s.RevokeTokens(id)
	if code, _ := call(t, http.MethodPost, s.Issuer().String()+"/v2/users", answer.AccessToken, "{}"); code != 401 {
		t.Errorf("revoked: %d", code)
	}
}

func TestSystemUserSignsItsOwnToken(t *testing.T) {
	s, _ := start(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	s.AddSystemUser("platform", &key.PublicKey)
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: "platform", Subject: "platform", Audience: jwt.ClaimStrings{s.Issuer().String()},
		IssuedAt: jwt.NewNumericDate(time.Now().Add(-5 * time.Second)), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString(key)
	check(t, err)
	if code, body := call(t, http.MethodPost, s.Issuer().String()+"/system/v1/instances/_search", token, "{}"); code != 200 || !strings.Contains(body, "ACME") {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := call(t, http.MethodPost, s.Issuer().String()+"/system/v1/instances/_search", token+"x", "{}"); code != 401 {
		t.Errorf("forged: %d", code)
	}
}

// What a proxy must keep from ZITADEL works here as it does there.
func TestTrapsAreOpen(t *testing.T) {
	s, id := start(t)
	token, base := s.AddPAT(id), s.Issuer().String()
	alice := s.Users()["alice@acme.example"]
	for name, c := range map[string]struct {
		method, path, token string
		header              []string
		code                int
		operation           string
	}{
		"MethodOverride":     {"POST", "/v2/users/" + alice, token, []string{"Content-Type", "application/x-www-form-urlencoded", "X-HTTP-Method-Override", "DELETE"}, 403, "zitadel.user.v2.UserService/DeleteUser"},
		"GrpcMetadata":       {"GET", "/v2/users/" + alice, "", []string{"Grpc-Metadata-Authorization", "Bearer " + token}, 200, "zitadel.user.v2.UserService/GetUserByID"},
		"ForwardedHost":      {"GET", "/v2/users/" + alice, token, []string{"X-Forwarded-Host", "evil.example"}, 404, "zitadel.user.v2.UserService/GetUserByID"},
		"InstanceHost":       {"GET", "/v2/users/" + alice, token, []string{"X-Zitadel-Instance-Host", "evil.example"}, 404, "zitadel.user.v2.UserService/GetUserByID"},
		"EncodedLetter":      {"GET", "/v2/%75sers/" + alice, token, nil, 200, "zitadel.user.v2.UserService/GetUserByID"},
		"CleanedPath":        {"GET", "/v2//users/" + alice, token, nil, 301, ""},
		"TextBody":           {"POST", "/v2/users", token, []string{"Content-Type", "text/plain"}, 200, "zitadel.user.v2.UserService/ListUsers"},
		"UnknownOrg":         {"GET", "/v2/users/" + alice, token, []string{"X-Zitadel-Orgid", "1"}, 403, "zitadel.user.v2.UserService/GetUserByID"},
		"LowerCaseScheme":    {"GET", "/v2/users/" + alice, "", []string{"Authorization", "bearer " + token}, 401, "zitadel.user.v2.UserService/GetUserByID"},
		"V1WithoutToken":     {"GET", "/management/v1/orgs/me", "", nil, 500, "zitadel.management.v1.ManagementService/GetMyOrg"},
		"V1HasNoConnect":     {"POST", "/zitadel.management.v1.ManagementService/GetMyOrg", token, nil, 404, ""},
		"PATForOneself":      {"POST", "/v2/users/" + id + "/pats", token, nil, 200, "zitadel.user.v2.UserService/AddPersonalAccessToken"},
		"WrongMethod":        {"PUT", "/v2/users", token, nil, 405, ""},
		"InvertedPrecedence": {"POST", "/v2beta/administrators/search", token, nil, 200, "zitadel.internal_permission.v2beta.InternalPermissionService/UpdateAdministrator"},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Count()
			body := `{"expirationDate":"2999-01-01T00:00:00Z"}` // what a token needs; others leave it out
			if c.header != nil && c.header[0] == "Content-Type" && strings.Contains(c.header[1], "form") {
				body = ""
			}
			code, text := call(t, c.method, base+c.path, c.token, body, c.header...)
			all := s.Requests()
			if code != c.code || all[before].Operation != c.operation {
				t.Errorf("%d by %q, want %d by %q: %s", code, all[before].Operation, c.code, c.operation, text)
			}
		})
	}
}
