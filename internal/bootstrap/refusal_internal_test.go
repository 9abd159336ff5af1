package bootstrap

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/zitadel"
)

// Each refusal of ZITADEL's says what it means, and what to do.
func TestEachRefusalIsToldInWords(t *testing.T) {
	r := &run{Plan{Issuer: &url.URL{Scheme: "https", Host: "acme.zitadel.cloud"}, Organization: "287"}}
	for _, c := range []struct {
		status  int
		message string
		needs   string
		want    string
	}{
		{404, "", "user.read", "zitadel has no instance under acme.zitadel.cloud; the issuer must be a domain of the instance"},
		{404, "unable to set instance using origin x (QUERY-1kIjX)", "user.read", "zitadel has no instance under acme.zitadel.cloud"},
		{401, "Errors.Token.Invalid (AUTH-7fs1e)", "user.read", "zitadel refuses the administrator's token; it has ended, was removed, is of another instance, or its user is locked"},
		{403, "Organisation doesn't exist (AUTH-Bs7Ds)", "user.write", "zitadel knows no organization 287; correct --organization"},
		{412, "Errors.Org.NotFound (COMMAND-QXPGs)", "user.write", "zitadel knows no organization 287; correct --organization"},
		{404, "membership not found (AUTHZ-cdgFk)", "user.write", "the administrator is no manager there; use the token of one whose role has user.write, such as ORG_USER_MANAGER"},
		{403, "No matching permissions found (AUTH-5mWD2)", "iam.member.write", "the administrator may not do that; use the token of one whose role has iam.member.write, such as IAM_OWNER"},
		{409, "Errors.User.AlreadyExists (COMMAND-k2unb)", "user.write", "it is there already, and zitadel's list does not show it yet; run it again"},
		{404, "User could not be found (COMMAND-X)", "user.write", "zitadel does not know the user, or not yet; run it again"},
		{400, "Errors.User.NotFound (ORG-GoXOn)", "org.member.write", "zitadel does not know the user, or not yet; run it again"},
		{400, "Errors.Org.MemberInvalid (Org-4N8es)", "org.member.write", "zitadel takes no such role there; the server may map roles of its own: name one with --role"},
		{400, "Errors.IAM.MemberInvalid (INSTANCE-4m0fS)", "iam.member.write", "zitadel takes no such role there"},
		{429, "", "user.read", "zitadel asks for fewer requests; run it again in a minute"},
		{503, "down", "user.read", "zitadel reports a fault of its own (503 down); run it again"},
		{418, "teapot", "user.read", "asking zitadel for x: it answers HTTP 418"},
	} {
		got := r.refused(&zitadel.StatusError{Path: "x", Status: c.status, Message: c.message}, step{"looking", c.needs}).Error()
		if !strings.HasPrefix(got, "looking: ") || !strings.Contains(got, c.want) {
			t.Errorf("%d %s: %q, want %q", c.status, c.message, got, c.want)
		}
	}
	if got := r.refused(errors.New("no route to host"), step{doing: "looking"}).Error(); got != "looking: no route to host" {
		t.Errorf("another error: %q", got)
	}
}
