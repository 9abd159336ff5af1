package role

import (
	"cmp"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// Requirement is the least that a service user needs for a set of operations.
type Requirement struct {
	// Grants are the roles to give, one membership for each level: on the
	// instance, in each organization that is to be served, on each project.
	Grants []Grant `json:"grants,omitempty"`
	// Nothing are operations for which any token will do.
	Nothing []operation.Name `json:"no_role,omitempty"`
	// SystemOnly are operations that only a system user can perform.
	SystemOnly []operation.Name `json:"system_only,omitempty"`
	// Choices are operations whose need depends on the request; they are not in Grants.
	Choices []operation.Name `json:"depends,omitempty"`
	// Nobody are operations that no single role of ZITADEL's default mapping carries.
	Nobody []operation.Name `json:"nobody,omitempty"`
	// Unknown are operations of which nothing is known.
	Unknown []operation.Name `json:"unknown,omitempty"`
}

// Grant is roles of one level, and what forces them.
type Grant struct {
	Level   Level     `json:"level"`
	Roles   []string  `json:"roles"`
	Because []Because `json:"because"`
}

// Because is an operation that forces a grant.
type Because struct {
	Operation   operation.Name `json:"operation"`
	Permissions []string       `json:"permissions"`
	Basis       Basis          `json:"basis"`
}

// Least computes the least roles for ops. Of the roles that fit, the least is
// the one with the fewest permissions that change anything, and then with the
// fewest at all. A narrower level goes before a wider one.
//
// within tells that the requests stay within organizations: what depends on the
// request is taken to be about an organization then, where that is one of the cases.
func Least(ops []operation.Name, within bool) Requirement {
	var r Requirement
	open := r.sort(ops, within)
	r.take(Instance, open, func(n Need) bool { return len(n.Levels) == 1 && n.Levels[0] == Instance })
	for _, level := range [...]Level{Project, Organization, Instance} {
		all := func(Need) bool { return true }
		if level == Project && slices.ContainsFunc(rest(open), func(w wanted) bool { return !slices.Contains(w.Levels, Project) }) {
			continue // somebody needs the organization; a project beside it would be one more
		}
		r.take(level, open, all)
	}
	for _, w := range rest(open) {
		r.Nobody = append(r.Nobody, w.name)
	}
	slices.SortFunc(r.Grants, func(a, b Grant) int { return cmp.Compare(width(a.Level), width(b.Level)) })
	return r
}

// wanted is an operation that needs a role.
type wanted struct {
	Need
	name operation.Name
	done bool
}

// sort puts aside what needs no role, and returns the others.
func (r *Requirement) sort(ops []operation.Name, within bool) []*wanted {
	var open []*wanted
	ops = slices.Clone(ops)
	slices.Sort(ops)
	for _, name := range slices.Compact(ops) {
		n, ok := Lookup(name)
		if ok && n.Kind == Depends && within {
			n = n.variant("organization")
		}
		switch {
		case !ok:
			r.Unknown = append(r.Unknown, name)
		case n.Kind == Token || n.Kind == None:
			r.Nothing = append(r.Nothing, name)
		case n.Kind == Depends:
			r.Choices = append(r.Choices, name)
		case slices.Equal(n.Levels, []Level{System}):
			r.SystemOnly = append(r.SystemOnly, name)
		default:
			open = append(open, &wanted{Need: n, name: name})
		}
	}
	return open
}

// variant is the need of the one variant that is about what; n if there is not exactly one.
func (n Need) variant(what string) Need {
	var found []Variant
	for _, v := range n.Variants {
		if strings.Contains(v.When, what) {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		return n
	}
	one := found[0].Need
	one.Basis = n.Basis
	return one
}

func rest(open []*wanted) []wanted {
	var left []wanted
	for _, w := range open {
		if !w.done {
			left = append(left, *w)
		}
	}
	return left
}

// take finds roles of a level for those that force it, and ticks off all that
// these roles do.
func (r *Requirement) take(level Level, open []*wanted, forces func(Need) bool) {
	var forcing []wanted
	for _, w := range rest(open) {
		if forces(w.Need) && slices.Contains(w.Levels, level) {
			forcing = append(forcing, w)
		}
	}
	roles := fewest(level, forcing)
	if len(roles) == 0 {
		return
	}
	g := Grant{Level: level}
	for _, role := range roles {
		g.Roles = append(g.Roles, role.Name)
	}
	for _, w := range open {
		if w.done || !slices.ContainsFunc(roles, func(role Role) bool { return role.fits(w.Need) }) {
			continue
		}
		w.done = true
		g.Because = append(g.Because, Because{w.name, w.Permissions, w.Basis})
	}
	r.Grants = append(r.Grants, g)
}

// fewest is the least role of a level that fits all, or else the least roles
// that do together; nil where some fit none.
func fewest(level Level, all []wanted) []Role {
	if len(all) == 0 {
		return nil
	}
	var candidates []Role
	for _, role := range Roles() {
		if role.Level == level {
			candidates = append(candidates, role)
		}
	}
	slices.SortFunc(candidates, less)
	var chosen []Role
	for left := all; len(left) > 0; {
		best, most := -1, 0
		for i, role := range candidates {
			if n := role.fitsOf(left); n > most { // the first of equals is the least
				best, most = i, n
			}
		}
		if best < 0 {
			left = nil // some fit none: the level still serves the others
			continue
		}
		role := candidates[best]
		chosen = append(chosen, role)
		left = slices.DeleteFunc(slices.Clone(left), func(w wanted) bool { return role.fits(w.Need) })
	}
	return chosen
}

// less orders roles by what they could change, and then by all that they could do.
func less(a, b Role) int {
	return cmp.Or(cmp.Compare(a.changes(), b.changes()), cmp.Compare(len(a.Permissions), len(b.Permissions)), strings.Compare(a.Name, b.Name))
}

func (r Role) changes() int {
	n := 0
	for _, p := range r.Permissions {
		if !strings.HasSuffix(p, ".read") {
			n++
		}
	}
	return n
}

func (r Role) fitsOf(all []wanted) int {
	n := 0
	for _, w := range all {
		if r.fits(w.Need) {
			n++
		}
	}
	return n
}

// fits tells whether the role alone passes the check. What was measured counts
// more than the permissions that the role has on paper.
func (r Role) fits(n Need) bool {
	if n.Kind != Permission || !slices.Contains(n.Levels, r.Level) {
		return false
	}
	if n.Passed != nil && n.Passed[0] != "any" {
		return slices.Contains(n.Passed, r.Name)
	}
	for _, p := range n.Permissions {
		if !slices.Contains(r.Permissions, p) {
			return false
		}
	}
	return true
}

func width(l Level) int {
	return slices.Index([]Level{System, Instance, Organization, Project, ProjectGrant}, l)
}
