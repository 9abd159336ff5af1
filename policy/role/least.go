package role

import (
	"cmp"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// Requirement is the least that a service user needs for a set of operations.
// Every operation is either among the reasons of one grant or on one of the lists.
type Requirement struct {
	// Grants are the roles to give, from the widest level to the narrowest, at
	// most one a level: on the instance, in each organization that is to be
	// served, on each project.
	Grants []Grant `json:"grants,omitempty"`
	// Nothing are operations for which any token will do.
	Nothing []operation.Name `json:"no_role,omitempty"`
	// SystemOnly are operations that only a system user can perform.
	SystemOnly []operation.Name `json:"system_only,omitempty"`
	// Choices are operations whose need depends on the request, and that Grants
	// do not serve in every case; see Cases.
	Choices []operation.Name `json:"depends,omitempty"`
	// Cases are what Choices need, and what needs less in some case than Grants
	// have it, in the order of the operations' names.
	Cases []Case `json:"cases,omitempty"`
	// Nobody are operations that no role of ZITADEL's default mapping carries.
	Nobody []operation.Name `json:"nobody,omitempty"`
	// Unknown are operations of which nothing is known.
	Unknown []operation.Name `json:"unknown,omitempty"`
}

// Grant is roles of one level, and what they are for.
type Grant struct {
	Level Level `json:"level"`
	// Roles is one role, or where none fits alone, those that fit together. A
	// membership can hold them all; rules split over two service users keep them apart.
	Roles []string `json:"roles"`
	// Together are roles that fit together and change less than the one of
	// Roles does; nil where there are none.
	Together []string  `json:"together,omitempty"`
	Because  []Because `json:"because"`
}

// Because is an operation that a grant serves.
type Because struct {
	Operation   operation.Name `json:"operation"`
	Permissions []string       `json:"permissions"`
	Basis       Basis          `json:"basis"`
	// Roles are those of a grant with several that pass for this operation.
	Roles []string `json:"roles,omitempty"`
	// Beside: did not force the grant. A narrower level would do, but the roles
	// that are needed for others serve it as well.
	Beside bool `json:"beside,omitempty"`
}

// Case is the least for one case of an operation that depends on the request.
type Case struct {
	Operation   operation.Name `json:"operation"`
	When        string         `json:"when"`
	Permissions []string       `json:"permissions,omitempty"`
	Basis       Basis          `json:"basis"`
	// Level and Role are what the case needs alone; empty where it needs no role.
	Level Level  `json:"level,omitempty"`
	Role  string `json:"role,omitempty"`
	// Granted: the grants serve it, or it needs none.
	Granted bool   `json:"granted,omitempty"`
	Note    string `json:"note,omitempty"`
}

// Least computes the least roles for ops. Of the roles that fit, the least is
// the one with the fewest permissions that change anything, and then with the
// fewest at all; by count alone, a role that grants roles would be less than
// one that reads all. A narrower level goes before a wider one, and one role
// for all of a level before several.
//
// What works on the service user itself without a role is taken to be about
// others, too: rules rarely tell.
//
// within tells that the requests stay within organizations: what depends on the
// request is taken to be about an organization then, where that is one of the cases.
func Least(ops []operation.Name, within bool) Requirement {
	var r Requirement
	open, choices := r.sort(ops, within)
	r.take(Instance, open, func(w *wanted) bool { return !w.fits(Organization) && !w.fits(Project) })
	// Where somebody needs the organization, a project beside it would be one more.
	if slices.ContainsFunc(open, func(w *wanted) bool { return !w.done && !w.fits(Project) }) {
		r.take(Organization, open, func(w *wanted) bool { return w.fits(Organization) })
	}
	r.take(Project, open, func(*wanted) bool { return true })
	for _, w := range choices {
		r.choose(w)
	}
	for _, w := range open {
		r.cases(w)
	}
	slices.SortStableFunc(r.Cases, func(a, b Case) int { return cmp.Compare(a.Operation, b.Operation) })
	return r
}

// wanted is an operation that needs a role.
type wanted struct {
	Need
	name operation.Name
	done bool
}

// fits tells whether some role of a level passes.
func (w *wanted) fits(level Level) bool {
	return slices.ContainsFunc(known().roles, func(r Role) bool { return r.Level == level && r.fits(w.Need) })
}

// sort puts aside what needs no role or cannot be had by one, and returns what
// is to be served, and what depends.
func (r *Requirement) sort(ops []operation.Name, within bool) (open, choices []*wanted) {
	ops = slices.Clone(ops)
	slices.Sort(ops)
	for _, name := range slices.Compact(ops) {
		n, ok := Lookup(name)
		if n.Kind == Depends && within {
			n = n.about("organization")
		}
		w := &wanted{Need: n, name: name}
		switch {
		case !ok:
			r.Unknown = append(r.Unknown, name)
		case n.Kind == Token || n.Kind == None:
			r.Nothing = append(r.Nothing, name)
		case n.Kind == Depends:
			choices = append(choices, w)
		case slices.Equal(n.Levels, []Level{System}):
			r.SystemOnly = append(r.SystemOnly, name)
		case !w.fits(Instance) && !w.fits(Organization) && !w.fits(Project):
			r.Nobody = append(r.Nobody, name)
		default:
			open = append(open, w)
		}
	}
	return open, choices
}

// about is the need of the one variant that is about what; n if there is not exactly one.
func (n Need) about(what string) Need {
	var found []Variant
	for _, v := range n.Variants {
		if strings.Contains(v.When, what) {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		return n
	}
	return found[0].Need
}

// take finds the roles of a level for those that force it, and ticks off all
// that these roles serve.
func (r *Requirement) take(level Level, open []*wanted, forces func(*wanted) bool) {
	var forcing []*wanted
	for _, w := range open {
		if !w.done && forces(w) {
			forcing = append(forcing, w)
		}
	}
	if len(forcing) == 0 {
		return
	}
	roles, together := cover(level, forcing)
	g := Grant{Level: level, Roles: names(roles), Together: names(together)}
	for _, w := range open {
		serving := slices.DeleteFunc(slices.Clone(roles), func(role Role) bool { return !role.fits(w.Need) })
		if w.done || len(serving) == 0 {
			continue
		}
		w.done = true
		because := Because{Operation: w.name, Permissions: w.Permissions, Basis: w.Basis, Beside: !slices.Contains(forcing, w)}
		if len(roles) > 1 {
			because.Roles = names(serving)
		}
		g.Because = append(g.Because, because)
	}
	r.Grants = append(r.Grants, g)
}

func names(roles []Role) []string {
	var all []string
	for _, r := range roles {
		all = append(all, r.Name)
	}
	return all
}
