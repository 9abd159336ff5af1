package role

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

// cover is the least role of a level that fits all, or where there is none the
// least roles that do together. Beside a single role, together are several that
// change less. Some role of the level must fit each of all.
func cover(level Level, all []*wanted) (least, together []Role) {
	candidates, fitting := candidates(level, all)
	for set := uint32(1); set < 1<<len(candidates); set++ {
		if !covers(set, fitting) || spare(set, fitting) {
			continue
		}
		roles := pick(candidates, set)
		switch single := len(roles) == 1; {
		case single && (len(least) != 1 || lessTogether(roles, least) < 0):
			least = roles
		case !single && (together == nil || lessTogether(roles, together) < 0):
			together = roles
		}
	}
	switch {
	case least == nil:
		return together, nil
	case together != nil && changes(together) < changes(least):
		return least, together
	}
	return least, nil
}

// candidates are the roles of a level that fit one of all at least, and, as sets
// of them, who fits what: one set for all operations that the same roles fit.
// A level has a dozen roles at most, so that every set can be tried.
func candidates(level Level, all []*wanted) (roles []Role, fitting []uint32) {
	for _, r := range known().roles {
		if r.Level == level && slices.ContainsFunc(all, func(w *wanted) bool { return r.fits(w.Need) }) {
			roles = append(roles, r)
		}
	}
	for _, w := range all {
		var set uint32
		for i, r := range roles {
			if r.fits(w.Need) {
				set |= 1 << i
			}
		}
		if !slices.Contains(fitting, set) {
			fitting = append(fitting, set)
		}
	}
	return roles, fitting
}

// covers tells whether set has one of each.
func covers(set uint32, each []uint32) bool {
	return !slices.ContainsFunc(each, func(one uint32) bool { return one&set == 0 })
}

// spare tells whether set covers each with one member less: it is not the least then.
func spare(set uint32, each []uint32) bool {
	for rest := set; rest != 0; rest &= rest - 1 {
		if covers(set&^(rest&-rest), each) {
			return true
		}
	}
	return false
}

func pick(roles []Role, set uint32) []Role {
	picked := make([]Role, 0, bits.OnesCount32(set))
	for i, r := range roles {
		if set&(1<<i) != 0 {
			picked = append(picked, r)
		}
	}
	return picked
}

// less orders roles by what they could change, and then by all that they could do.
func less(a, b Role) int {
	return lessTogether([]Role{a}, []Role{b})
}

// lessTogether orders sets of roles by what they could change, by all that they
// could do, by their number, and last by their names.
func lessTogether(a, b []Role) int {
	return cmp.Or(
		cmp.Compare(changes(a), changes(b)), cmp.Compare(len(union(a)), len(union(b))),
		cmp.Compare(len(a), len(b)), slices.Compare(names(a), names(b)))
}

// changes is the number of permissions that do more than read.
func changes(roles []Role) int {
	n := 0
	for _, p := range union(roles) {
		if !strings.HasSuffix(p, ".read") {
			n++
		}
	}
	return n
}

// union is all permissions of roles, each once.
func union(roles []Role) []string {
	if len(roles) == 1 {
		return roles[0].Permissions
	}
	var all []string
	for _, r := range roles {
		all = append(all, r.Permissions...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
