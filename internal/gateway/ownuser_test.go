package gateway_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

const learningFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users:
  - {name: pat, personal_access_token: {token_file: "$DIR/pat"}}
  - {name: secret, client_credentials: {client_id: secret, client_secret_file: "$DIR/secret"}}
rules:
  - {name: users, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/LockUser, zitadel.user.v2.UserService/GetUserByID], as: pat}
  - {name: authorizations, callers: ["anonymous:local"], operations: [zitadel.authorization.v2.AuthorizationService/DeleteAuthorization], hazards: [grants-role], as: pat}
  - {name: sessions, callers: ["anonymous:local"], operations: [zitadel.session.v2.SessionService/CreateSession, zitadel.session.v2.SessionService/SetSession, zitadel.session.v2.SessionService/DeleteSession, zitadel.session.v2beta.SessionService/SetSession, zitadel.session.v2beta.SessionService/DeleteSession], hazards: [mints-credential], as: secret}
  - {name: imports, callers: ["anonymous:local"], operations: [zitadel.admin.v1.AdminService/ImportData], hazards: [plants-credential, grants-role, bulk], as: pat}
audit: {file: "$DIR/audit.jsonl"}
`

// learning is a gateway whose configuration names no user id.
type learning struct {
	*sandbox.Sandbox
	dir, address string
}

func startLearning(t *testing.T, before func(*learning)) *learning {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	l := &learning{Sandbox: s, dir: t.TempDir()}
	write(t, filepath.Join(l.dir, "pat"), s.AddPAT(s.AddMachineUser("pat", "IAM_OWNER")))
	write(t, filepath.Join(l.dir, "secret"), s.AddSecret(s.AddMachineUser("secret", "IAM_OWNER")))
	before(l)
	cfg, err := config.Parse("learning.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", l.dir).Replace(learningFile)))
	check(t, err)
	l.address, _ = serve(t, cfg, gateway.Options{})
	return l
}

// post calls an operation by Connect and returns status and body.
func (l *learning) post(t *testing.T, operation, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.address+"/"+operation, strings.NewReader(body))
	check(t, err)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(text)
}

// eventually tries until the answer has the reason, or "" for none of zproxy's own.
func (l *learning) eventually(t *testing.T, operation, body, reason string) {
	t.Helper()
	status, text := 0, ""
	for range 1000 {
		if status, text = l.post(t, operation, body); strings.Contains(text, "("+reason+",") || reason == "" && status == http.StatusOK {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s %s: HTTP %d %s, want %q", operation, body, status, text, reason)
}

const (
	lock   = "zitadel.user.v2.UserService/LockUser"
	revoke = "zitadel.authorization.v2.AuthorizationService/DeleteAuthorization"
	signIn = "zitadel.session.v2.SessionService/CreateSession"
)

func TestUsersOfTokensAreLearnedAndOutOfReach(t *testing.T) {
	authorization := ""
	l := startLearning(t, func(l *learning) { authorization = l.AddAuthorization(l.Users()["pat"]) })
	users := l.Users()
	l.eventually(t, lock, `{"userId":"`+users["bob@acme.example"]+`"}`, "")
	for name, c := range map[string][2]string{
		"a user":                          {lock, `{"userId":"` + users["pat"] + `"}`},
		"another service user":            {lock, `{"userId":"` + users["secret"] + `"}`},
		"an authorization":                {revoke, `{"id":"` + authorization + `"}`},
		"a session by id":                 {signIn, `{"checks":{"user":{"userId":"` + users["pat"] + `"}}}`},
		"a session by login name":         {signIn, `{"checks":{"user":{"loginName":"secret"}}}`},
		"a session, in other case":        {signIn, `{"checks":{"user":{"loginName":"SECRET"}}}`},
		"a session, escaped":              {signIn, `{"checks":{"user":{"login\u004eame":"\u0073ecret"}}}`},
		"a session that takes a new user": {"zitadel.session.v2.SessionService/SetSession", `{"sessionId":"1","checks":{"user":{"loginName":"pat"}}}`},
	} {
		if status, text := l.post(t, c[0], c[1]); status != http.StatusForbidden || !strings.Contains(text, "(own_service_user,") {
			t.Errorf("%s: HTTP %d %s", name, status, text)
		}
	}
	for name, c := range map[string][2]string{
		"a name that contains ours": {signIn, `{"checks":{"user":{"loginName":"secretary"}}}`},
		"our name elsewhere":        {signIn, `{"checks":{"user":{"loginName":"bob"}},"metadata":{"secret":"cGF0"}}`},
	} {
		if status, text := l.post(t, c[0], c[1]); status != http.StatusOK {
			t.Errorf("%s: HTTP %d %s", name, status, text)
		}
	}
	if status, text := l.post(t, signIn, `{"checks":{"user":{"loginName":"bob","login_name":"secret"}}}`); status != http.StatusBadRequest || !strings.Contains(text, "(unreadable_body,") {
		t.Errorf("a session in two spellings: HTTP %d %s", status, text)
	}
}

// What others gave our own users is learned too, page by page.
func TestSessionsAndAuthorizationsOfOurOwnAreOutOfReach(t *testing.T) {
	var sessions, authorizations []string
	l := startLearning(t, func(l *learning) {
		l.MaxRows(2)
		for range 5 {
			sessions = append(sessions, l.AddSession(l.Users()["secret"]))
			authorizations = append(authorizations, l.AddAuthorization(l.Users()["pat"]))
		}
	})
	bob := l.AddSession(l.Users()["bob@acme.example"])
	for _, version := range [...]string{"v2", "v2beta"} {
		for _, method := range [...]string{"SetSession", "DeleteSession"} {
			op := "zitadel.session." + version + ".SessionService/" + method
			l.eventually(t, op, `{"sessionId":"`+bob+`"}`, "")
			for _, id := range sessions {
				if status, text := l.post(t, op, `{"sessionId":"`+id+`"}`); status != http.StatusForbidden || !strings.Contains(text, "(own_service_user,") {
					t.Errorf("%s of %s: HTTP %d %s", op, id, status, text)
				}
			}
		}
	}
	for _, id := range authorizations {
		l.eventually(t, revoke, `{"id":"`+id+`"}`, "own_service_user")
	}
}

func TestChangesOfSessionsWaitUntilThoseOfOurOwnAreKnown(t *testing.T) {
	l := startLearning(t, func(l *learning) { l.FailSessions(true) })
	const change, end = "zitadel.session.v2.SessionService/SetSession", "zitadel.session.v2beta.SessionService/DeleteSession"
	l.eventually(t, signIn, `{"checks":{"user":{"loginName":"bob"}}}`, "") // nothing else waits for them
	for _, op := range [...]string{change, end} {
		if status, text := l.post(t, op, `{"sessionId":"1"}`); status != http.StatusServiceUnavailable || !strings.Contains(text, "(own_users_unknown,") {
			t.Errorf("%s: HTTP %d %s", op, status, text)
		}
	}
	ours := l.AddSession(l.Users()["pat"])
	l.FailSessions(false)
	l.eventually(t, change, `{"sessionId":"1"}`, "")
	l.eventually(t, end, `{"sessionId":"`+ours+`"}`, "own_service_user")
}

func TestChangesOfUsersWaitUntilOurOwnAreKnown(t *testing.T) {
	l := startLearning(t, func(l *learning) { l.FailSelf(true) })
	bob := l.Users()["bob@acme.example"]
	l.eventually(t, "zitadel.user.v2.UserService/GetUserByID", `{"userId":"`+bob+`"}`, "")
	status, text := l.post(t, lock, `{"userId":"`+bob+`"}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "(own_users_unknown,") {
		t.Fatalf("HTTP %d %s", status, text)
	}
	l.FailSelf(false)
	l.eventually(t, lock, `{"userId":"`+bob+`"}`, "")
}

func TestATokenThatIsReplacedIsOfSomebodyNotYetKnown(t *testing.T) {
	l := startLearning(t, func(*learning) {})
	bob := l.Users()["bob@acme.example"]
	l.eventually(t, lock, `{"userId":"`+bob+`"}`, "")
	l.FailSelf(true)
	next := l.AddMachineUser("next", "IAM_OWNER")
	write(t, filepath.Join(l.dir, "new"), l.AddPAT(next))
	check(t, os.Rename(filepath.Join(l.dir, "new"), filepath.Join(l.dir, "pat")))
	l.eventually(t, lock, `{"userId":"`+bob+`"}`, "own_users_unknown")
	l.FailSelf(false)
	l.eventually(t, lock, `{"userId":"`+next+`"}`, "own_service_user")
	l.eventually(t, lock, `{"userId":"`+bob+`"}`, "")
}
