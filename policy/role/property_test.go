package role_test

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
)

// some draws operations; a third of the time from a single service, where roles overlap most.
func some(t *rapid.T, all []operation.Name, label string) []operation.Name {
	if rapid.IntRange(0, 2).Draw(t, label+" of one service") == 0 {
		service, _, _ := strings.Cut(string(rapid.SampledFrom(all).Draw(t, label+" service")), "/")
		all = slices.DeleteFunc(slices.Clone(all), func(n operation.Name) bool { return !strings.HasPrefix(string(n), service+"/") })
	}
	return rapid.SliceOfN(rapid.SampledFrom(all), 1, 12).Draw(t, label)
}

func rolesOf(r role.Requirement) []string {
	var all []string
	for _, g := range r.Grants {
		all = append(all, g.Roles...)
	}
	return all
}

func served(r role.Requirement) []operation.Name {
	var all []operation.Name
	for _, g := range r.Grants {
		for _, b := range g.Because {
			all = append(all, b.Operation)
		}
	}
	return all
}

func TestEveryOperationIsToldOnceAndTheRolesPermitWhatTheyAreFor(t *testing.T) {
	all := append(rpcs(t), "scim/Bulk", "oidc/userinfo")
	rapid.Check(t, func(t *rapid.T) {
		ops := some(t, all, "operations")
		r := role.Least(ops, rapid.Bool().Draw(t, "within"))
		told := slices.Concat(served(r), r.Nothing, r.SystemOnly, r.Choices, r.Nobody, r.Unknown)
		slices.Sort(told)
		want := slices.Compact(slices.Sorted(slices.Values(ops)))
		if !slices.Equal(told, want) {
			t.Fatalf("of %v, told %v", want, told)
		}
		for _, op := range slices.Concat(served(r), r.Nothing) {
			if ok, why := role.Explain(rolesOf(r), op); !ok {
				t.Fatalf("%v do not permit %s: %s", rolesOf(r), op, why)
			}
		}
		for _, op := range slices.Concat(r.SystemOnly, r.Nobody, r.Unknown) {
			if role.Permits(rolesOf(r), op) {
				t.Fatalf("%s is said to be out of reach, and %v permit it", op, rolesOf(r))
			}
		}
		for _, g := range r.Grants {
			for _, b := range g.Because {
				for _, name := range b.Roles {
					if !slices.Contains(g.Roles, name) || !role.Permits([]string{name}, b.Operation) {
						t.Fatalf("%s does not permit %s", name, b.Operation)
					}
				}
				if g.Together != nil && !b.Beside && !role.Permits(g.Together, b.Operation) {
					t.Fatalf("%v together do not permit %s", g.Together, b.Operation)
				}
			}
		}
		for _, op := range role.Beyond(rolesOf(r), ops) {
			if slices.Contains(ops, op) || !role.Permits(rolesOf(r), op) {
				t.Fatalf("%s is not beyond", op)
			}
		}
	})
}

func TestTheOrderAndTheNumberOfMentionsDoNotMatter(t *testing.T) {
	all := rpcs(t)
	rapid.Check(t, func(t *rapid.T) {
		ops := some(t, all, "operations")
		shuffled := rapid.Permutation(append(slices.Clone(ops), ops[0])).Draw(t, "shuffled")
		if a, b := role.Least(ops, false), role.Least(shuffled, false); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
}

// size is what a requirement gives away, widest level first: at each, whether
// several roles are needed, what they change, what they do, how many they are.
func size(r role.Requirement) []int {
	var all []int
	for _, level := range []role.Level{role.Instance, role.Organization, role.Project} {
		i := slices.IndexFunc(r.Grants, func(g role.Grant) bool { return g.Level == level })
		if i < 0 {
			all = append(all, 0, 0, 0, 0)
			continue
		}
		changes, total := weigh(r.Grants[i].Roles)
		several := 1
		if len(r.Grants[i].Roles) > 1 {
			several = 2
		}
		all = append(all, several, changes, total, len(r.Grants[i].Roles))
	}
	return all
}

func weigh(names []string) (changes, total int) {
	has := map[string]bool{}
	for _, r := range role.Roles() {
		if slices.Contains(names, r.Name) {
			for _, p := range r.Permissions {
				has[p] = true
			}
		}
	}
	for p := range has {
		if !strings.HasSuffix(p, ".read") {
			changes++
		}
	}
	return changes, len(has)
}

func TestMoreOperationsNeverNeedLess(t *testing.T) {
	all := rpcs(t)
	rapid.Check(t, func(t *rapid.T) {
		few, more := some(t, all, "few"), some(t, all, "more")
		within := rapid.Bool().Draw(t, "within")
		a, b := role.Least(few, within), role.Least(append(slices.Clone(few), more...), within)
		if slices.Compare(size(a), size(b)) > 0 {
			t.Fatalf("%v needs %s, and with %v %s", few, grants(a), more, grants(b))
		}
		for _, op := range served(a) {
			if !role.Permits(rolesOf(b), op) {
				t.Fatalf("with %v, %v no longer permit %s", more, rolesOf(b), op)
			}
		}
	})
}

// TestNoNarrowerAndNoSmallerRoleWouldDo tries every other role in place of those
// that were found.
func TestNoNarrowerAndNoSmallerRoleWouldDo(t *testing.T) {
	all := rpcs(t)
	every := role.Roles()
	rapid.Check(t, func(t *rapid.T) {
		for _, g := range role.Least(some(t, all, "operations"), false).Grants {
			forcing := slices.DeleteFunc(slices.Clone(g.Because), func(b role.Because) bool { return b.Beside })
			for _, r := range every {
				fits := !slices.ContainsFunc(forcing, func(b role.Because) bool { return !role.Permits([]string{r.Name}, b.Operation) })
				narrower := g.Level == role.Instance && r.Level == role.Organization || g.Level != role.Project && r.Level == role.Project
				if !fits || slices.Equal(g.Roles, []string{r.Name}) || !narrower && r.Level != g.Level {
					continue
				}
				changes, total := weigh([]string{r.Name})
				leastChanges, leastTotal := weigh(g.Roles)
				smaller := cmp.Or(cmp.Compare(changes, leastChanges), cmp.Compare(total, leastTotal), strings.Compare(r.Name, g.Roles[0])) < 0
				if narrower || smaller || len(g.Roles) > 1 {
					t.Fatalf("%s of level %s would do for %+v", r.Name, r.Level, g)
				}
			}
		}
	})
}
