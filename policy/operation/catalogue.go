package operation

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./internal/generate

//go:embed table.txt
var table string

// Catalogue is a fixed set of operations. The zero value knows none.
type Catalogue struct {
	operations []*Operation
	byName     map[Name]*Operation
	routes     []route
	root       node
}

var load = sync.OnceValues(func() (*Catalogue, error) { return parse(table) })

// Default is the catalogue of this build: ZITADEL's RPCs as zitadel-go
// describes them, and the operations that have no descriptor. It is read once;
// an error means that the program was built with a damaged table.
func Default() (*Catalogue, error) {
	return load()
}

// WithUnlisted is c with RPCs added that it does not know, for a ZITADEL newer
// than this build. They are reachable by their exact RPC path, taken to change
// state, and without a hazard class, for nothing is known about them. A name
// that is malformed, known already or given twice is an error.
func (c *Catalogue) WithUnlisted(names ...Name) (*Catalogue, error) {
	if len(names) == 0 {
		return c, nil
	}
	extended := &Catalogue{
		operations: slices.Clone(c.operations), byName: maps.Clone(c.byName), routes: c.routes, root: c.root,
	}
	if extended.byName == nil {
		extended.byName = make(map[Name]*Operation)
	}
	for _, name := range names {
		if err := checkUnlisted(name); err != nil {
			return nil, err
		}
		if known := extended.byName[name]; known != nil && known.Unlisted {
			return nil, fmt.Errorf("adding unlisted operation %q: it is named twice; remove one", name)
		} else if known != nil {
			return nil, fmt.Errorf("adding unlisted operation %q: the catalogue knows it, with its REST paths and hazards; remove it from the list", name)
		}
		extended.add(&Operation{Name: name, Changes: true, Unlisted: true, NamesUser: true, surface: surfaceOf(name)})
	}
	return extended, nil
}

// Lookup finds an operation by its full name.
func (c *Catalogue) Lookup(name Name) (*Operation, bool) {
	op, ok := c.byName[name]
	return op, ok
}

// Operations are all operations in the order of their Index. The slice is the caller's.
func (c *Catalogue) Operations() []*Operation {
	return slices.Clone(c.operations)
}

// Services are what stands before the slash in the operations' names: full
// service names in alphabetical order, then "oidc", "scim" and the like, then
// services of unlisted operations. The slice is the caller's.
func (c *Catalogue) Services() []string {
	var all []string
	for _, op := range c.operations {
		if service, _, _ := strings.Cut(string(op.Name), "/"); !slices.Contains(all, service) {
			all = append(all, service)
		}
	}
	return all
}

func (c *Catalogue) add(op *Operation) {
	op.Index = len(c.operations)
	c.operations = append(c.operations, op)
	c.byName[op.Name] = op
}

// addRoutes registers the REST bindings of op, after those of all before it.
func (c *Catalogue) addRoutes(op *Operation, p Protocol, query bool) error {
	for _, r := range op.Routes {
		method := methodIndex(r.Method)
		if method < 0 {
			return fmt.Errorf("reading catalogue: %s has a binding with the method %q", op.Name, r.Method)
		}
		segments, err := parseTemplate(r.Template)
		if err != nil {
			return fmt.Errorf("reading catalogue: %s: %w", op.Name, err)
		}
		variables := 0
		for _, s := range segments {
			if s.field != "" {
				variables++
			}
		}
		c.routes = append(c.routes, route{
			operation: op, accepts: r.accepts, protocol: p, query: query && !r.Body,
			segments: segments, variables: variables,
		})
		c.root.insert(segments, method, int32(len(c.routes)))
	}
	return nil
}

// checkUnlisted wants "package.Service/Method" of protobuf identifiers.
func checkUnlisted(name Name) error {
	service, method, ok := strings.Cut(string(name), "/")
	parts := strings.Split(service, ".")
	if !ok || len(parts) < 2 || len(name) > 256 || slices.ContainsFunc(append(parts, method), notIdentifier) {
		return fmt.Errorf("adding unlisted operation %q: it must be the full name of an RPC, such as zitadel.group.v2.GroupService/ListGroups", name)
	}
	if strings.HasPrefix(service, "grpc.reflection.") {
		return fmt.Errorf("adding unlisted operation %q: reflection is never served; remove it from the list", name)
	}
	return nil
}

func notIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return true
		}
	}
	return s == ""
}
