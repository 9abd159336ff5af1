// Package role knows which permission each of ZITADEL's operations really
// checks, and computes the least manager roles that a set of operations needs.
//
// What is known of an operation has a basis: measured on a live server with
// every assignable role, read in the server's source, or only declared by the
// RPC. The mapping of roles to permissions is ZITADEL's default; operators of
// their own servers may have changed it.
//
// A permission with the suffix ":self" (project.read:self of
// ORG_PROJECT_CREATOR) passes the declared check alone and is refused for what
// others own; it never counts as the permission without the suffix.
package role

import (
	_ "embed"
	"slices"
	"sync"

	"github.com/zproxy/zproxy/policy/operation"
)

// Level is the kind of membership that a role is given as.
type Level string

// The levels, from the widest to the narrowest. A role on the instance counts in
// every organization, later ones too. System is only for system users, which
// the server's configuration names; no service user has it.
const (
	System       Level = "system"
	Instance     Level = "instance"
	Organization Level = "organization"
	Project      Level = "project"
	ProjectGrant Level = "project_grant" // on one grant, held in the organization that it was granted to
)

// Role is a manager role of ZITADEL.
type Role struct {
	Name        string
	Level       Level
	Permissions []string // sorted, each once
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

// NoRole is what a user without any role gets.
type NoRole string

// What users without a role get.
const (
	Refused    NoRole = "no"
	Passes     NoRole = "yes"
	OwnOnly    NoRole = "own-only" // the user itself, or its own rows
	WithIntent NoRole = "with the intent token"
	NotTried   NoRole = "unknown"
)

// Need is what one operation checks. The zero value is of no kind, and no role
// meets it.
type Need struct {
	Kind        Kind
	Permissions []string // all are needed; the first decides
	Or          []string // what counts instead for system users
	Levels      []Level  // kinds of membership in which the permissions count
	// Self: works on the token's own user, or its own rows, without any role.
	Self   bool
	NoRole NoRole
	// OrgContext: checked in the organization of x-zitadel-orgid, or the one that
	// the service user lives in.
	OrgContext bool
	// Unbound: the permission is not checked against the organization of the
	// target. A role in any organization reaches the objects of all.
	Unbound bool
	// CheckField is the field of the request whose value the id of a project or
	// grant membership must equal; "" where there is none.
	CheckField string
	Basis      Basis
	// Passed are the roles that passed when measured: nil where that was not
	// measured or any token passes, empty where nobody passed. An entry can name
	// a place behind the role: "ORG_OWNER of the granted organization".
	Passed []string
	Note   string
	// Variants are all cases of Kind Depends. Of another kind they are the cases
	// that need less than the rest.
	Variants []Variant
}

// Variant is the need in one case.
type Variant struct {
	When string // such as "resource is an organization"
	Need
}

// data is the table, read.
type data struct {
	roles []Role
	needs map[operation.Name]Need
}

//go:embed roles.txt
var table string

var load = sync.OnceValues(func() (*data, error) { return read(table) })

// known is the table of this build. A damaged one, which tests would find,
// leaves nothing known, and nothing known permits nothing.
func known() *data {
	d, _ := load()
	return d
}

// Lookup is what an operation checks. Operations that are no RPCs of this
// build's catalogue are not known. The Need is the caller's.
func Lookup(name operation.Name) (Need, bool) {
	n, ok := known().needs[name]
	return n.clone(), ok
}

// Roles are ZITADEL's manager roles, sorted by name. They are the caller's.
func Roles() []Role {
	all := slices.Clone(known().roles)
	for i := range all {
		all[i].Permissions = slices.Clone(all[i].Permissions)
	}
	return all
}

func (n Need) clone() Need {
	n.Permissions, n.Or, n.Levels, n.Passed = slices.Clone(n.Permissions), slices.Clone(n.Or), slices.Clone(n.Levels), slices.Clone(n.Passed)
	n.Variants = slices.Clone(n.Variants)
	for i, v := range n.Variants {
		n.Variants[i].Need = v.clone()
	}
	return n
}
