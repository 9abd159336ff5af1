package role

import (
	"cmp"
	"slices"
	"strings"
)

// choose serves an operation that depends on the request by grants that serve
// every case of it; otherwise it is left to choose.
func (r *Requirement) choose(w *wanted) {
	for i := range r.Grants {
		g := &r.Grants[i]
		if slices.ContainsFunc(w.Variants, func(v Variant) bool { return !g.serves(v.Need) }) {
			continue
		}
		because := Because{Operation: w.name, Basis: w.Basis, Beside: true}
		for _, v := range w.Variants {
			because.Permissions = append(because.Permissions, v.Permissions...)
		}
		g.Because = append(g.Because, because)
		slices.SortFunc(g.Because, func(a, b Because) int { return cmp.Compare(a.Operation, b.Operation) })
		return
	}
	r.Choices = append(r.Choices, w.name)
	r.cases(w)
}

// cases tells of each variant what it needs.
func (r *Requirement) cases(w *wanted) {
	for _, v := range w.Variants {
		c := r.least(v)
		c.Operation = w.name
		r.Cases = append(r.Cases, c)
	}
}

// least is what one variant needs alone, at the narrowest level that has a role for it.
func (r *Requirement) least(v Variant) Case {
	c := Case{When: v.When, Permissions: v.Permissions, Basis: v.Basis, Note: v.Note}
	if v.Kind != Permission {
		c.Granted = true
		return c
	}
	c.Granted = slices.ContainsFunc(r.Grants, func(g Grant) bool { return g.serves(v.Need) })
	for _, level := range [...]Level{Project, ProjectGrant, Organization, Instance} {
		var fitting []Role
		for _, role := range known().roles {
			if role.Level == level && role.fits(v.Need) {
				fitting = append(fitting, role)
			}
		}
		if len(fitting) > 0 {
			c.Level, c.Role = level, slices.MinFunc(fitting, less).Name
			return c
		}
	}
	return c
}

// serves tells whether one of the grant's roles passes, wherever the target
// is: a role that passes only in some other place than its own does not.
func (g *Grant) serves(n Need) bool {
	return slices.ContainsFunc(held(g.Roles), func(r Role) bool { return r.fits(n) && !r.elsewhere(n) })
}

// fits tells whether the role passes the check. What was measured counts more
// than the permissions on paper; what passed without the permission did so by
// one that is only about its own.
func (r Role) fits(n Need) bool {
	return n.Kind == Permission && slices.Contains(n.Levels, r.Level) && r.carries(n) && (n.Passed == nil || r.passed(n) != "")
}

// carries tells whether the role has all the permissions of the need.
func (r Role) carries(n Need) bool {
	for _, p := range n.Permissions {
		if !slices.Contains(r.Permissions, p) {
			return false
		}
	}
	return len(n.Permissions) > 0
}

// passed is the entry of those that passed which is about the role; "" if there is none.
func (r Role) passed(n Need) string {
	for _, entry := range n.Passed {
		if name, _, _ := strings.Cut(entry, " "); name == r.Name {
			return entry
		}
	}
	return ""
}

// elsewhere tells whether the role passed in a certain place only.
func (r Role) elsewhere(n Need) bool {
	return strings.Contains(r.passed(n), " ")
}
