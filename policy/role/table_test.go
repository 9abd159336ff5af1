package role

import (
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
)

func TestABrokenTableIsAnErrorAndLeavesNothingKnown(t *testing.T) {
	for name, text := range map[string]string{
		"a form that is not known":    "what is this\tnow\n",
		"an RPC without a service":    "role\tA\torganization\tuser.read\n\tList\tp\tuser.read\tio\t\tm\n",
		"an RPC without a name":       "s\n\t\tp\n",
		"a case without an operation": "q\n\tGood\tt\ns\n\t\tcase\tp\tuser.read\ti\n",
		"a need that is none":         "s\n\tList\tpermission\tuser.read\tio\t\tm\n",
		"no need":                     "s\n\tList\t\tuser.read\tio\t\tm\n",
		"a basis that is none":        "s\n\tList\tp\tuser.read\tio\t\tr\n",
		"a level that is none":        "s\n\tList\tp\tuser.read\tx\t\tm\n",
		"a flag that is none":         "s\n\tList\tp\tuser.read\tio\tx\tm\n",
		"a set that is not there":     "s\n\tList\tp\tuser.read\tio\t\tm\t3\n",
		"a set before the first":      "set\tA\ns\n\tList\tp\tuser.read\tio\t\tm\t-1\n",
		"a note that is not there":    "s\n\tList\tp\tuser.read\tio\t\tm\t\t0\n",
		"a case's level":              "s\n\tList\tv\n\t\tcase\tp\tuser.read\tx\n",
		"a number that is no number":  "s\n\tList\tp\tuser.read\tio\t\tm\tx\n",
	} {
		d, err := read(text)
		if err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v", name, err)
		}
		if d == nil || len(d.roles) != 0 || len(d.needs) != 0 {
			t.Errorf("%s: something is known all the same: %+v", name, d)
		}
	}
}

func TestTheTableAndTheCatalogueHaveTheSameRPCs(t *testing.T) {
	d, err := load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	for name := range d.needs {
		if _, ok := c.Lookup(name); !ok {
			t.Errorf("%s is in the table, and not in the catalogue", name)
		}
	}
	for _, op := range c.Operations() {
		if _, ok := d.needs[op.Name]; !ok && strings.HasPrefix(string(op.Name), "zitadel.") {
			t.Errorf("%s is in the catalogue, and not in the table", op.Name)
		}
	}
	if len(d.needs) != 899 || len(d.roles) != 26 {
		t.Errorf("%d operations and %d roles", len(d.needs), len(d.roles))
	}
	if len(table) > 80_000 {
		t.Errorf("the table has grown to %d bytes", len(table))
	}
}

// TestWhatWasMeasuredCountsMoreThanPaper: a role that was refused does not fit
// for having the permission, and one that passed without it does not either.
func TestWhatWasMeasuredCountsMoreThanPaper(t *testing.T) {
	own := Role{"OWN", Organization, []string{"x.read:self"}}
	full := Role{"FULL", Organization, []string{"x.read", "y.read"}}
	both := Need{Kind: Permission, Permissions: []string{"x.read", "y.read"}, Levels: []Level{Organization}, Basis: Measured}
	one := both
	one.Permissions = one.Permissions[:1]
	for name, c := range map[string]struct {
		role   Role
		need   Need
		passed []string
		want   bool
	}{
		"on paper":                            {full, both, nil, true},
		"measured":                            {full, both, []string{"A", "FULL"}, true},
		"measured in some place":              {full, both, []string{"FULL of the granted organization"}, true},
		"refused when measured":               {full, both, []string{"A", "FULLER"}, false},
		"nobody passed":                       {full, both, []string{}, false},
		"passed by a permission on its own":   {own, one, []string{"OWN"}, false},
		"one of two permissions":              {Role{"X", Organization, []string{"x.read"}}, both, nil, false},
		"a level that does not count":         {Role{"FULL", Project, full.Permissions}, both, []string{"FULL"}, false},
		"a need without a permission":         {full, Need{Kind: Permission, Levels: both.Levels}, nil, false},
		"a need of another kind":              {full, Need{Kind: Depends, Permissions: both.Permissions, Levels: both.Levels}, nil, false},
		"the zero need":                       {full, Need{}, nil, false},
		"a role whose name begins with a's":   {Role{"FULL_VIEWER", Organization, full.Permissions}, both, []string{"FULL"}, false},
		"the zero role, though it is counted": {Role{}, both, []string{""}, false},
	} {
		c.need.Passed = c.passed
		if got := c.role.fits(c.need); got != c.want {
			t.Errorf("%s: fits is %t", name, got)
		}
	}
	both.Passed = []string{"A"}
	if got := (rolesHeld{full}).why(both); got != "it needs x.read and y.read at level organization: FULL holds it, but was refused when measured" {
		t.Errorf("why is %q", got)
	}
	if (rolesHeld{full}).permit(Need{}) {
		t.Error("the zero need is met")
	}
}

// TestAChoiceThatNoRoleCanMakeNamesNone: what only a system user could do has no role.
func TestAChoiceThatNoRoleCanMakeNamesNone(t *testing.T) {
	c := (&Requirement{}).least(Variant{"so", Need{Kind: Permission, Permissions: []string{"x.read"}, Levels: []Level{System}}})
	if c.Level != "" || c.Role != "" || c.Granted {
		t.Errorf("got %+v", c)
	}
}

func TestOnlyASingleCaseAboutSomethingIsTaken(t *testing.T) {
	depends := Need{Kind: Depends, Variants: []Variant{{"it is an organization", Need{Kind: Token}}, {"it is a project of an organization", Need{Kind: None}}}}
	if got := depends.about("organization"); got.Kind != Depends {
		t.Errorf("of two cases one was taken: %+v", got)
	}
	if got := depends.about("instance"); got.Kind != Depends {
		t.Errorf("of no case one was taken: %+v", got)
	}
	if got := depends.about("project"); got.Kind != None {
		t.Errorf("the case about a project is %+v", got)
	}
}
