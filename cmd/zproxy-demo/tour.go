package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
)

// tour walks a newcomer through what zproxy does. It stops at the first thing
// that does not happen as told.
type tour struct {
	*demo
	out io.Writer
	err error
	n   int
}

// act begins a part of the tour.
func (t *tour) act(title string, lines ...string) {
	t.n++
	t.say("\n%d. %s\n", t.n, title)
	for _, l := range lines {
		t.say("   %s", l)
	}
	t.say("")
}

func (t *tour) say(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.out, format+"\n", args...)
	}
}

// run is the whole tour.
func (t *tour) run(ctx context.Context) error {
	t.allowed(ctx)
	t.refused(ctx)
	t.spoofed(ctx)
	t.minted(ctx)
	t.own(ctx)
	t.proven(ctx)
	t.evidence()
	return t.err
}

func (t *tour) allowed(ctx context.Context) {
	t.act("A service without any credential lists users",
		"No token is sent. zproxy knows the caller by the listener it came in on, finds the rule",
		"\"directory\", attaches the service user's token, and ZITADEL answers.")
	t.http(ctx, call{"POST", "/v2/users", "{}", nil}, 200)
	t.say("   The same operation by Connect and by gRPC: other paths, the same rule.\n")
	t.http(ctx, call{"POST", "/zitadel.user.v2.UserService/ListUsers", "{}", nil}, 200)
	t.grpc(ctx, "ListUsers", func(c userv2.UserServiceClient) error {
		answer, err := c.ListUsers(ctx, &userv2.ListUsersRequest{})
		t.say("     → %d users", len(answer.GetResult()))
		return err
	}, "")
}

func (t *tour) refused(ctx context.Context) {
	t.act("What no rule allows is refused, in the caller's own protocol",
		"The answer says why, and which line in the configuration would allow it.")
	t.http(ctx, call{"DELETE", "/v2/users/" + t.alice, "", nil}, 403)
	t.grpc(ctx, "DeleteUser", func(c userv2.UserServiceClient) error {
		_, err := c.DeleteUser(ctx, &userv2.DeleteUserRequest{UserId: t.alice})
		t.say("     → %s: %s", status.Code(err), short(status.Convert(err).Message(), 420))
		return err
	}, "PermissionDenied")
}

func (t *tour) spoofed(ctx context.Context) {
	t.act("A caller cannot choose tenant, identity or method",
		"Every header below changes what ZITADEL does when it arrives there. It does not arrive.")
	t.http(ctx, call{"GET", "/v2/users/" + t.alice, "", []string{
		"Authorization: Bearer forged", "Grpc-Metadata-Authorization: Bearer forged", "X-Zitadel-Orgid: 1",
		"X-Forwarded-Host: evil.example", "X-Zitadel-Instance-Host: evil.example",
	}}, 200)
	seen := t.sandbox.Last()
	t.say("   What ZITADEL saw: Host %s, user %s (the service user), organization %s;\n   headers %s.",
		seen.Host, seen.User, seen.Organization, names(seen.Header))
	t.expect(seen.User == t.reader && seen.Host == t.sandbox.Issuer().Host && seen.Header.Get("X-Forwarded-Host") == "", "a forged header arrived")
	t.say("\n   Spellings that ZITADEL would read as another operation are refused, not repaired:\n")
	t.http(ctx, call{"POST", "/v2/users/" + t.alice + "%2Flock", "{}", nil}, 400)
	t.http(ctx, call{"POST", "/v2/users/" + t.alice, "", []string{"Content-Type: application/x-www-form-urlencoded", "X-HTTP-Method-Override: DELETE"}}, 400)
}

func (t *tour) minted(ctx context.Context) {
	t.act("Nobody walks away with the service user",
		"The rule \"automation\" lets this caller make personal access tokens for machine users. ZITADEL would",
		"make one for the service user itself, too. zproxy refuses whatever mentions its own service users.")
	t.http(ctx, call{"POST", "/v2/users/" + t.robot + "/pats", `{"expirationDate":"2030-01-01T00:00:00Z"}`, nil}, 200)
	t.http(ctx, call{"POST", "/v2/users/" + t.reader + "/pats", `{"expirationDate":"2030-01-01T00:00:00Z"}`, nil}, 403)
}

func (t *tour) own(ctx context.Context) {
	t.act("A person's own token passes where a rule says so",
		"The rule \"own-profile\" is `as: caller`: the Auth API gets the caller's own user token.",
		"Here Alice asks who she is; then somebody without a token.")
	token, err := t.sandbox.HumanToken(t.alice)
	t.fail(err)
	t.http(ctx, call{"GET", "/auth/v1/users/me", "", []string{"Authorization: Bearer " + token}}, 200)
	t.http(ctx, call{"GET", "/auth/v1/users/me", "", nil}, 401)
}

// records is how many the acts before leave.
const records = 16

func (t *tour) evidence() {
	t.act("All of it left evidence",
		"One line for each request, refused ones included, and one before each change: ZITADEL's own",
		"events name only the service user. From "+t.audit+":")
	for range 100 { // a handshake's record comes after its caller knows
		if text, err := os.ReadFile(t.audit); err != nil || bytes.Count(text, []byte("\n")) >= records {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	file, err := os.Open(t.audit)
	if err != nil {
		t.fail(err)
		return
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	n := 0
	for ; lines.Scan(); n++ {
		var r struct {
			Kind, Caller, Protocol, Operation, Effect, Reason, Rule string
			Status                                                  int
		}
		t.fail(json.Unmarshal(lines.Bytes(), &r))
		t.say("     %-7s  %-26s  %-8s  %3d  %-5s  %-24s  %s", r.Kind, r.Caller, r.Protocol, r.Status, r.Effect, r.Reason, r.Operation)
	}
	t.fail(lines.Err())
	t.expect(n == records, fmt.Sprintf("%d audit records, want %d", n, records))
}

// call is one HTTP request of the tour.
type call struct {
	method, path, body string
	header             []string
}

// http shows a call as a curl command, makes it, and shows the answer.
func (t *tour) http(ctx context.Context, c call, want int) {
	if t.err != nil {
		return
	}
	r, err := http.NewRequestWithContext(ctx, c.method, t.url+c.path, strings.NewReader(c.body))
	if err != nil {
		t.err = err
		return
	}
	if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range c.header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	t.say("     $ %s", c.curl(t.url))
	res, err := t.client.Do(r)
	if err != nil {
		t.err = err
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	t.fail(err)
	t.say("     → %s  %s\n", res.Status, readable(body))
	t.expect(res.StatusCode == want, fmt.Sprintf("status %d, want %d", res.StatusCode, want))
}

// curl is the command that makes the same call.
func (c call) curl(base string) string {
	var b strings.Builder
	b.WriteString("curl")
	if c.method != "GET" && (c.method != "POST" || c.body == "") {
		b.WriteString(" -X " + c.method)
	}
	for _, h := range c.header {
		b.WriteString(" -H '" + short(h, 90) + "'")
	}
	if c.body != "" {
		b.WriteString(" -H 'Content-Type: application/json' -d '" + c.body + "'")
	}
	return b.String() + " " + base + c.path
}

// grpc makes a call with ZITADEL's generated client.
func (t *tour) grpc(_ context.Context, method string, do func(userv2.UserServiceClient) error, want string) {
	if t.err != nil {
		return
	}
	t.say("     $ grpc %s zitadel.user.v2.UserService/%s", strings.TrimPrefix(t.url, "http://"), method)
	conn, err := grpc.NewClient(strings.TrimPrefix(t.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.err = err
		return
	}
	defer conn.Close()
	got := ""
	if err := do(userv2.NewUserServiceClient(conn)); err != nil {
		got = status.Code(err).String()
	}
	t.expect(got == want, fmt.Sprintf("gRPC status %q, want %q", got, want))
}

func (t *tour) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *tour) expect(ok bool, message string) {
	if t.err == nil && !ok {
		t.err = fmt.Errorf("the tour went wrong in part %d: %s", t.n, message)
	}
}

// readable is an answer's message, or the answer on one line.
func readable(body []byte) string {
	var e struct{ Message string }
	if json.Unmarshal(body, &e) == nil && e.Message != "" {
		return short(e.Message, 420)
	}
	var line bytes.Buffer
	if json.Compact(&line, body) != nil {
		return short(string(body), 200)
	}
	return short(line.String(), 200)
}

// short cuts what is longer than a screen's line or two.
func short(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
