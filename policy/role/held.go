package role

import (
	"slices"

	"github.com/zproxy/zproxy/policy/operation"
)

// Permits tells whether a user who holds roles, given by their names, passes
// the check of an operation, in some case at least. Operations of which nothing
// is known are not permitted.
func Permits(roles []string, name operation.Name) bool {
	n, ok := Lookup(name)
	if !ok {
		return false
	}
	return held(roles).permit(n)
}

// Beyond are the operations that roles permit and that are not among ops, in
// the order of their names. What needs no role is not among them.
func Beyond(roles []string, ops []operation.Name) []operation.Name {
	d, err := shared()
	if err != nil {
		return nil
	}
	given := held(roles)
	var beyond []operation.Name
	for name, n := range d.needs {
		if n.Kind != Token && n.Kind != None && given.permit(n) && !slices.Contains(ops, name) {
			beyond = append(beyond, name)
		}
	}
	slices.Sort(beyond)
	return beyond
}

// rolesHeld are known roles.
type rolesHeld []Role

func held(names []string) rolesHeld {
	var all rolesHeld
	for _, r := range Roles() {
		if slices.Contains(names, r.Name) {
			all = append(all, r)
		}
	}
	return all
}

func (h rolesHeld) permit(n Need) bool {
	if n.Kind == Token || n.Kind == None {
		return true
	}
	if n.Kind == Depends {
		return slices.ContainsFunc(n.Variants, func(v Variant) bool { return h.permit(v.Need) })
	}
	return slices.ContainsFunc(h, func(r Role) bool { return r.fits(n) })
}
