package role

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// Explain is [Permits] with the reason: a clause without a full stop that names
// the role that passes, or what each of roles lacks.
func Explain(roles []string, name operation.Name) (permitted bool, why string) {
	n, ok := known().needs[name]
	if !ok {
		return false, "nothing is known of what " + string(name) + " checks"
	}
	given := held(roles)
	permitted, why = given.permit(n), given.why(n)
	if !permitted && n.Self {
		why += "; without a role it works on the service user itself alone"
	}
	return permitted, why
}

func (h rolesHeld) why(n Need) string {
	switch {
	case n.Kind == None:
		return "not even a token is needed"
	case n.Kind == Token && n.NoRole == WithIntent:
		return "no role is needed, but the intent token in the request"
	case n.Kind == Token:
		return "any token will do"
	case n.Kind == Depends:
		return h.whyCases(n)
	case slices.Equal(n.Levels, []Level{System}):
		return "only a system user can, never a service user"
	}
	for _, r := range h {
		if r.fits(n) {
			return r.passing(n)
		}
	}
	if len(h) == 0 {
		return "it needs " + needed(n) + ", and no manager role is held"
	}
	var lacks []string
	for _, r := range h {
		lacks = append(lacks, r.lacking(n))
	}
	return "it needs " + needed(n) + ": " + strings.Join(lacks, ", ")
}

func (h rolesHeld) whyCases(n Need) string {
	var cases []string
	for _, v := range n.Variants {
		cases = append(cases, fmt.Sprintf("when %s: %s", v.When, h.why(v.Need)))
	}
	return strings.Join(cases, "; ")
}

// passing is for a role that fits.
func (r Role) passing(n Need) string {
	text := fmt.Sprintf("%s holds %s (%s)", r.Name, strings.Join(n.Permissions, " and "), n.Basis)
	if _, place, ok := strings.Cut(r.passed(n), " "); ok {
		text += ", where it is a role " + place
	}
	return text
}

// lacking is for a role that does not fit.
func (r Role) lacking(n Need) string {
	var missing []string
	for _, p := range n.Permissions {
		switch {
		case slices.Contains(r.Permissions, p):
		case slices.Contains(r.Permissions, p+":self"):
			missing = append(missing, p+" (its "+p+":self is for its own alone)")
		default:
			missing = append(missing, p)
		}
	}
	switch {
	case len(missing) > 0:
		return r.Name + " lacks " + strings.Join(missing, " and ")
	case !slices.Contains(n.Levels, r.Level):
		return fmt.Sprintf("%s holds it, but a role of the level %s does not count", r.Name, r.Level)
	}
	return r.Name + " holds it, but was refused when measured"
}

// needed is the permissions and where they count: "user.write at level instance or organization".
func needed(n Need) string {
	levels := make([]string, len(n.Levels))
	for i, l := range n.Levels {
		levels[i] = string(l)
	}
	return strings.Join(n.Permissions, " and ") + " at level " + strings.Join(levels, " or ")
}
