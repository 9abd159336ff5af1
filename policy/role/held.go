package role

import (
	"slices"

	"github.com/zproxy/zproxy/policy/operation"
)

// Permits tells whether a service user who holds roles, given by their names,
// passes the check of an operation, in some case at least; [Explain] tells
// why. Operations of which nothing is known are not permitted.
func Permits(roles []string, name operation.Name) bool {
	n, ok := known().needs[name]
	return ok && held(roles).permit(n)
}

// Beyond are the operations that roles permit and that are not among ops, in
// the order of their names. What needs no role is not among them.
func Beyond(roles []string, ops []operation.Name) []operation.Name {
	within := make(map[operation.Name]bool, len(ops))
	for _, name := range ops {
		within[name] = true
	}
	given := held(roles)
	var beyond []operation.Name
	for name, n := range known().needs {
		if n.Kind != Token && n.Kind != None && !within[name] && given.permit(n) {
			beyond = append(beyond, name)
		}
	}
	slices.Sort(beyond)
	return beyond
}

// rolesHeld are known roles that a service user can hold.
type rolesHeld []Role

func held(names []string) rolesHeld {
	var all rolesHeld
	for _, r := range known().roles {
		if r.Level != System && slices.Contains(names, r.Name) {
			all = append(all, r)
		}
	}
	return all
}

// permit tells whether the need is met in some case. An operation of kind
// Permission is judged without its variants: they need what a request may lack.
func (h rolesHeld) permit(n Need) bool {
	switch n.Kind {
	case Token, None:
		return true
	case Depends:
		return slices.ContainsFunc(n.Variants, func(v Variant) bool { return h.permit(v.Need) })
	}
	return slices.ContainsFunc(h, func(r Role) bool { return r.fits(n) })
}
