package bootstrap

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/zproxy/zproxy/internal/zitadel"
)

// step is what was being done when ZITADEL refused, and the permission it takes.
type step struct{ doing, needs string }

// refused says in one sentence what a refusal means and what to do. ZITADEL's
// statuses alone mislead: who is no manager at all gets 404, and who gave a
// wrong host, too.
func (r *run) refused(err error, s step) error {
	var status *zitadel.StatusError
	if !errors.As(err, &status) {
		return fmt.Errorf("%s: %w", s.doing, err)
	}
	why, advice := r.meaning(status, s)
	if why == "" {
		return fmt.Errorf("%s: %w", s.doing, err)
	}
	return fmt.Errorf("%s: %s; %s", s.doing, why, advice)
}

func (r *run) meaning(e *zitadel.StatusError, s step) (why, advice string) {
	text := strings.ToLower(e.Message)
	switch {
	case e.Status == http.StatusNotFound && (e.Message == "" || strings.Contains(text, "unable to set instance")):
		return "zitadel has no instance under " + r.Issuer.Host, "the issuer must be a domain of the instance"
	case e.Status == http.StatusUnauthorized:
		return "zitadel refuses the administrator's token", "it has ended, was removed, is of another instance, or its user is locked: put a fresh one into the admin token file"
	case e.Status == http.StatusForbidden && strings.Contains(text, "doesn't exist"), strings.Contains(text, "command-qxpgs"):
		return "zitadel knows no organization " + r.Organization, "correct --organization, and the organizations of the rules"
	case e.Status == http.StatusNotFound && strings.Contains(text, "membership not found"):
		return "the administrator is no manager there", "use the token of one whose role has " + s.needs + roles(s.needs)
	case e.Status == http.StatusForbidden:
		return "the administrator may not do that", "use the token of one whose role has " + s.needs + roles(s.needs)
	case e.Status == http.StatusConflict:
		return "it is there already, and zitadel's list does not show it yet", "run it again in some seconds"
	case strings.Contains(text, "org-goxon"), e.Status == http.StatusNotFound:
		return "zitadel does not know the user, or not yet", "run it again in some seconds"
	case strings.Contains(text, "org-4n8es"), strings.Contains(text, "instance-4m0fs"), strings.Contains(text, "member"):
		return "zitadel takes no such role there", "the server may map roles of its own: name one with --role"
	case e.Status == http.StatusTooManyRequests:
		return "zitadel asks for fewer requests", "run it again in a minute"
	case e.Status >= http.StatusInternalServerError:
		return fmt.Sprintf("zitadel reports a fault of its own (%d %s)", e.Status, e.Message), "run it again; look into its log if that stays"
	}
	return "", ""
}

// roles are those of ZITADEL's default mapping that have a permission.
func roles(permission string) string {
	switch permission {
	case "user.read", "user.write":
		return ", such as ORG_USER_MANAGER, ORG_OWNER or IAM_OWNER"
	case "iam.member.write":
		return ", such as IAM_OWNER"
	}
	return ", such as ORG_OWNER or IAM_OWNER"
}
