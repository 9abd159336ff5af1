// Package role knows which permission each of ZITADEL's operations really
// checks, and computes the least manager roles that operations need.
//
// What is known of an operation has a basis: measured on a live server with
// every assignable role, read in the server's source, or only declared by the
// RPC. The mapping of roles to permissions is ZITADEL's default; operators of
// their own servers may have changed it.
package role

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/zproxy/zproxy/policy/operation"
)

// Level is the kind of membership that a role is given as.
type Level string

// The levels, from the widest to the narrowest. A role on the instance counts in
// every organization, later ones too. System is only for system users.
const (
	System       Level = "system"
	Instance     Level = "instance"
	Organization Level = "organization"
	Project      Level = "project"
	ProjectGrant Level = "project_grant"
)

// Role is a manager role of ZITADEL.
type Role struct {
	Name        string
	Level       Level
	Permissions []string
}

// Kind is what an operation needs.
type Kind string

// The kinds of needs.
const (
	Permission Kind = "permission" // the permissions of the need, all of them
	Token      Kind = "token"      // any valid token
	None       Kind = "none"       // not even a token
	Depends    Kind = "variants"   // it depends on the request
)

// Basis is how a need is known.
type Basis string

// The bases.
const (
	Measured Basis = "measured" // called with every assignable role
	Source   Basis = "source"   // read in the server's source
	Declared Basis = "declared" // the RPC's own option, not tried
)

// Need is what one operation checks.
type Need struct {
	Kind        Kind
	Permissions []string // all are needed
	Levels      []Level  // kinds of membership in which they count
	// Self: works on the token's own user, or its own rows, without any role.
	Self bool
	// OrgContext: checked in the organization of x-zitadel-orgid, or the one that
	// the service user lives in.
	OrgContext bool
	// Unbound: the permission is not checked against the organization of the
	// target. A role in any organization reaches the objects of all.
	Unbound  bool
	Basis    Basis
	Passed   []string // roles that passed when measured; ["any"] for all, nil where not measured
	Note     string
	Variants []Variant // of Kind Depends; the case of others in which less is needed
}

// Variant is the need in one case.
type Variant struct {
	When string
	Need
}

// data is the table, read.
type data struct {
	roles []Role
	needs map[operation.Name]Need
}

//go:embed roles.txt
var table string

var shared = sync.OnceValues(func() (*data, error) { return read(table) })

// Lookup is what an operation checks. Operations that are no RPCs of this
// build's catalogue are not known.
func Lookup(name operation.Name) (Need, bool) {
	d, err := shared()
	if err != nil {
		return Need{}, false
	}
	n, ok := d.needs[name]
	return n, ok
}

// Roles are ZITADEL's manager roles, sorted by name.
func Roles() []Role {
	d, err := shared()
	if err != nil {
		return nil
	}
	return slices.Clone(d.roles)
}

// reader reads the table line by line.
type reader struct {
	data
	sets    []string
	notes   []string
	service string
	last    operation.Name
}

func read(text string) (*data, error) {
	r := reader{data: data{needs: make(map[operation.Name]Need)}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := r.line(strings.TrimSuffix(line, "\n")); err != nil {
			return nil, fmt.Errorf("reading roles: line %d: %w", number, err)
		}
	}
	return &r.data, nil
}

func (r *reader) line(line string) error {
	fields := strings.Split(line, "\t")
	switch {
	case line == "", line[0] == '#':
	case fields[0] == "role" && len(fields) == 4:
		r.roles = append(r.roles, Role{fields[1], Level(fields[2]), split(fields[3])})
	case fields[0] == "set" && len(fields) == 2:
		r.sets = append(r.sets, fields[1])
	case fields[0] == "note" && len(fields) == 2:
		r.notes = append(r.notes, fields[1])
	case fields[0] != "" && len(fields) == 1:
		r.service = line
	case len(fields) > 3 && fields[0] == "" && fields[1] == "":
		n, err := r.need(fields[3:])
		if err != nil {
			return err
		}
		of := r.needs[r.last]
		of.Variants = append(of.Variants, Variant{fields[2], n})
		r.needs[r.last] = of
	case len(fields) > 2 && fields[0] == "" && r.service != "":
		n, err := r.need(fields[2:])
		if err != nil {
			return err
		}
		r.last = operation.Name(r.service + "/" + fields[1])
		r.needs[r.last] = n
	default:
		return fmt.Errorf("%q has a form that is not known", line)
	}
	return nil
}

// need reads the columns: need, permissions, levels, flags, basis, set, note.
func (r *reader) need(columns []string) (Need, error) {
	for len(columns) < 7 {
		columns = append(columns, "")
	}
	n := Need{
		Kind: Kind(columns[0]), Permissions: split(columns[1]),
		Self: strings.Contains(columns[3], "s"), OrgContext: strings.Contains(columns[3], "o"), Unbound: strings.Contains(columns[3], "t"),
		Basis: map[string]Basis{"m": Measured, "s": Source, "d": Declared}[columns[4]],
	}
	for _, letter := range columns[2] {
		level, ok := map[rune]Level{'s': System, 'i': Instance, 'o': Organization, 'p': Project, 'g': ProjectGrant}[letter]
		if !ok {
			return Need{}, fmt.Errorf("%q is no level", letter)
		}
		n.Levels = append(n.Levels, level)
	}
	set, err := at(r.sets, columns[5])
	if err != nil {
		return Need{}, err
	}
	n.Passed = split(set)
	n.Note, err = at(r.notes, columns[6])
	return n, err
}

// at is the numbered entry of list; "" for no number.
func at(list []string, number string) (string, error) {
	if number == "" {
		return "", nil
	}
	var i int
	if _, err := fmt.Sscan(number, &i); err != nil || i < 0 || i >= len(list) {
		return "", fmt.Errorf("%q is no number of an entry", number)
	}
	return list[i], nil
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
