package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

const hostileFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users:
  - {name: pat, personal_access_token: {token_file: "$DIR/pat"$USERID}}
unlisted_operations: [zitadel.user.v2.UserService/Future]
rules:
  - {name: ends, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/DeactivateUser], as: pat, until: "$UNTIL"}
  - {name: changes, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/LockUser, zitadel.user.v2.UserService/Future], as: pat}
  - {name: sessions, callers: ["anonymous:local"], operations: [zitadel.session.v2.SessionService/CreateSession], hazards: [mints-credential], as: pat}
  - {name: authorizations, callers: ["anonymous:local"], operations: [zitadel.authorization.v2.AuthorizationService/DeleteAuthorization], hazards: [grants-role], as: pat}
  - {name: pinned, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/ListUsers], organizations: ["287345091734012345"], as: pat}
  - {name: dark, callers: ["anonymous:local"], operations: [zitadel.org.v2.OrganizationService/ListOrganizations], organizations: ["287345091734012345"], as: pat, shadow: true}
  - {name: organizations, callers: ["anonymous:local"], operations: [zitadel.org.v2.OrganizationService/ListOrganizations, zitadel.settings.v2.SettingsService/GetGeneralSettings], as: pat}
audit: {file: "$DIR/audit.jsonl"}
`

// startHostile is a gateway whose one service user is called "provisioner".
func startHostile(t *testing.T, userID bool, until time.Time, before func(*learning)) *learning {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	l := &learning{Sandbox: s, dir: t.TempDir()}
	id := s.AddMachineUser("provisioner", "IAM_OWNER")
	write(t, filepath.Join(l.dir, "pat"), s.AddPAT(id))
	before(l)
	given := ""
	if userID {
		given = `, user_id: "` + id + `"`
	}
	cfg, err := config.Parse("hostile.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", l.dir, "$USERID", given, "$UNTIL", until.UTC().Format(time.RFC3339)).Replace(hostileFile)))
	check(t, err)
	l.address, _ = serve(t, cfg, gateway.Options{})
	return l
}

// open sends a request's header and what there is of its body, and keeps the connection.
func (l *learning) open(t *testing.T, operation string, length int, body string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.address)
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", operation, l.address, length, body)
	check(t, err)
	return c
}

func answer(t *testing.T, c net.Conn, within time.Duration) (int, string) {
	t.Helper()
	check(t, c.SetReadDeadline(time.Now().Add(within)))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(text)
}

// Lengths that are announced and do not come hold next to nothing.
func TestAnnouncedLengthsTakeNoMemoryFromOthers(t *testing.T) {
	l := startHostile(t, true, time.Now().Add(time.Hour), func(*learning) {})
	bob := l.Users()["bob@acme.example"]
	l.eventually(t, lock, `{"userId":"`+bob+`"}`, "")
	for range 10 {
		_, f := frames(t, l.address)
		for id := uint32(1); id < 400; id += 2 {
			var block strings.Builder
			encoder := hpack.NewEncoder(&block)
			for _, h := range []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: l.address}, {Name: ":path", Value: "/" + lock},
				{Name: "content-type", Value: "application/json"}, {Name: "content-length", Value: "4000000"}} {
				check(t, encoder.WriteField(h))
			}
			check(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()), EndHeaders: true}))
			if id%50 == 1 {
				time.Sleep(time.Millisecond) // within the server's window of streams
			}
		}
	}
	time.Sleep(300 * time.Millisecond)
	if status, text := l.post(t, lock, `{"userId":"`+bob+`"}`); status != http.StatusOK {
		t.Errorf("HTTP %d %s", status, text)
	}
}

// A message of very many empty parts would take a hundred times its size.
func TestMessagesOfManyPartsAreRefused(t *testing.T) {
	l := startHostile(t, true, time.Now().Add(time.Hour), func(*learning) {})
	body := squeezed([]byte(strings.Repeat("\x1a\x00", 1<<20)))
	r, err := http.NewRequest(http.MethodPost, "http://"+l.address+"/zitadel.user.v2.UserService/ListUsers", strings.NewReader(string(body)))
	check(t, err)
	r.Header.Set("Content-Type", "application/proto")
	r.Header.Set("Content-Encoding", "gzip")
	begin := time.Now()
	res, err := http.DefaultClient.Do(r)
	check(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(t, err)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "parts") || time.Since(begin) > 10*time.Second {
		t.Errorf("after %v: HTTP %d %s", time.Since(begin), res.StatusCode, text)
	}
}

// ZITADEL compares login names in lower case, in which U+0130 becomes an i.
func TestLoginNamesAreComparedAsZITADELDoes(t *testing.T) {
	l := startHostile(t, false, time.Now().Add(time.Hour), func(*learning) {})
	l.eventually(t, signIn, `{"checks":{"user":{"loginName":"provisioner"}}}`, "own_service_user")
	for _, name := range []string{"PROV\u0130S\u0130ONER", "prov\\u0130sioner", "ProvisioneR"} {
		if status, text := l.post(t, signIn, `{"checks":{"user":{"loginName":"`+name+`"}}}`); status != http.StatusForbidden || !strings.Contains(text, "own_service_user") {
			t.Errorf("%s: HTTP %d %s", name, status, text)
		}
	}
}

// A user id that the configuration gives says nothing of login names and authorizations.
func TestNamesAndAuthorizationsWaitUntilTheyAreKnown(t *testing.T) {
	l := startHostile(t, true, time.Now().Add(time.Hour), func(l *learning) { l.FailSelf(true) })
	bob := l.Users()["bob@acme.example"]
	l.eventually(t, lock, `{"userId":"`+bob+`"}`, "")
	l.eventually(t, signIn, `{"checks":{"user":{"loginName":"provisioner"}}}`, "own_users_unknown")
	l.eventually(t, revoke, `{"id":"1"}`, "own_users_unknown")
	l.FailSelf(false)
	l.eventually(t, signIn, `{"checks":{"user":{"loginName":"provisioner"}}}`, "own_service_user")
	l.eventually(t, revoke, `{"id":"1"}`, "")
}

// What counts is what holds when the body is there, not when it began.
func TestABodyThatTakesItsTimeIsJudgedAtItsEnd(t *testing.T) {
	l := startHostile(t, false, time.Now().Add(3*time.Second).Truncate(time.Second), func(*learning) {})
	bob := l.Users()["bob@acme.example"]
	l.eventually(t, lock, `{"userId":"`+bob+`"}`, "")
	const deactivate = "zitadel.user.v2.UserService/DeactivateUser"
	body := `{"userId":"` + bob + `"}`
	slow := l.open(t, deactivate, len(body), body[:5])
	time.Sleep(3 * time.Second)
	_, err := io.WriteString(slow, body[5:])
	check(t, err)
	if status, text := answer(t, slow, 5*time.Second); status != http.StatusForbidden || !strings.Contains(text, "rule_ended") {
		t.Errorf("a rule that ended meanwhile: HTTP %d %s", status, text)
	}
	next := l.AddMachineUser("next", "IAM_OWNER")
	body = `{"userId":"` + next + `"}`
	slow = l.open(t, lock, len(body), body[:5])
	write(t, filepath.Join(l.dir, "new"), l.AddPAT(next))
	check(t, os.Rename(filepath.Join(l.dir, "new"), filepath.Join(l.dir, "pat")))
	l.eventually(t, revoke, `{"id":"`+next+`"}`, "own_service_user") // by mention; until then it does nothing
	_, err = io.WriteString(slow, body[5:])
	check(t, err)
	if status, text := answer(t, slow, 5*time.Second); status != http.StatusForbidden || !strings.Contains(text, "own_service_user") {
		t.Errorf("a user who became one of ours meanwhile: HTTP %d %s", status, text)
	}
}

// A refusal does not wait for a body that nobody reads.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	l := startHostile(t, true, time.Now().Add(time.Hour), func(*learning) {})
	l.eventually(t, lock, `{"userId":"`+l.Users()["bob@acme.example"]+`"}`, "")
	for _, operation := range []string{"zitadel.user.v2.UserService/ReactivateUser", "zitadel.user.v2.UserService/Nobody"} {
		begin := time.Now()
		if status, text := answer(t, l.open(t, operation, 100, ""), 20*time.Second); status < 400 || time.Since(begin) > 10*time.Second {
			t.Errorf("%s after %v: HTTP %d %s", operation, time.Since(begin), status, text)
		}
	}
}

// A shadow rule makes no difference to what passes, however large.
func TestShadowRulesRefuseNothing(t *testing.T) {
	l := startHostile(t, true, time.Now().Add(time.Hour), func(*learning) {})
	const list = "zitadel.org.v2.OrganizationService/ListOrganizations"
	l.eventually(t, list, `{}`, "")
	for name, body := range map[string]string{
		"large": `{"queries":[` + strings.Repeat(" ", 5<<20) + `]}`, "middling": `{"queries":[` + strings.Repeat(" ", 100<<10) + `]}`, "unreadable": `{"nobody":"knows"}`,
	} {
		r, err := http.NewRequest(http.MethodPost, "http://"+l.address+"/"+list, io.MultiReader(strings.NewReader(body))) // of unknown length
		check(t, err)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		check(t, err)
		text, err := io.ReadAll(res.Body)
		check(t, err)
		check(t, res.Body.Close())
		if strings.Contains(string(text), "Zproxy") || res.StatusCode != http.StatusOK && res.Header.Get("Proxy-Status") != "" {
			t.Errorf("%s: HTTP %d %s", name, res.StatusCode, text)
		}
	}
}
