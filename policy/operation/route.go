package operation

import (
	"fmt"
	"slices"
	"strings"
)

// route is a REST binding as the tree matches it.
type route struct {
	operation *Operation
	accepts   accepts
	protocol  Protocol
	query     bool // fields of the message may come in the query
	segments  []segment
	variables int
}

// segment is one part of a template: a literal, or a variable if field is set.
type segment struct {
	literal string
	field   string
	rest    bool // the variable spans all segments that are left
}

// methods are those of the bindings; their position is the index in the tree.
const methods = 5

func methodIndex(method string) int {
	switch method {
	case "GET":
		return 0
	case "POST":
		return 1
	case "PUT":
		return 2
	case "PATCH":
		return 3
	case "DELETE":
		return 4
	}
	return -1
}

// parseTemplate reads a path template of google.api.http, in the forms that
// ZITADEL uses: literals, {field}, and {field=**} at the end.
func parseTemplate(template string) ([]segment, error) {
	rest, ok := strings.CutPrefix(template, "/")
	if !ok {
		return nil, fmt.Errorf("reading template %q: it does not start with a slash", template)
	}
	var segments []segment
	for part := range strings.SplitSeq(rest, "/") {
		if len(segments) > 0 && segments[len(segments)-1].rest {
			return nil, fmt.Errorf("reading template %q: a segment follows **", template)
		}
		inner, isVariable := strings.CutPrefix(part, "{")
		if !isVariable {
			if part == "" || strings.ContainsAny(part, "{}*%:") {
				return nil, fmt.Errorf("reading template %q: unknown form of segment %q", template, part)
			}
			segments = append(segments, segment{literal: part})
			continue
		}
		field, pattern, _ := strings.Cut(strings.TrimSuffix(inner, "}"), "=")
		if field == "" || !strings.HasSuffix(inner, "}") || pattern != "" && pattern != "**" {
			return nil, fmt.Errorf("reading template %q: unknown form of variable %q", template, part)
		}
		segments = append(segments, segment{field: field, rest: pattern == "**"})
	}
	return segments, nil
}

// node is a place in the tree of templates. A route is held by its order plus
// one, so that zero is none.
type node struct {
	literals map[string]*node
	variable *node
	ends     [methods]int32
	rest     [methods]int32 // templates that go on with **
}

func (n *node) insert(segments []segment, method int, order int32) {
	for _, s := range segments {
		switch {
		case s.rest:
			n.rest[method] = max(n.rest[method], order)
			return
		case s.field != "":
			if n.variable == nil {
				n.variable = new(node)
			}
			n = n.variable
		default:
			if n.literals == nil {
				n.literals = make(map[string]*node)
			}
			next := n.literals[s.literal]
			if next == nil {
				next = new(node)
				n.literals[s.literal] = next
			}
			n = next
		}
	}
	n.ends[method] = max(n.ends[method], order)
}

// found is the best match so far, and whether another method would match.
type found struct {
	order int32
	other bool
}

func (f *found) offer(at *[methods]int32, method int) {
	if method >= 0 {
		f.order = max(f.order, at[method])
	}
	f.other = f.other || slices.Max(at[:]) > 0
}

// match looks for the route that was registered last among all that match
// path, which starts with a slash or is empty. That is grpc-gateway's
// precedence: a literal does not beat a variable.
func (n *node) match(path string, method int, f *found) {
	f.offer(&n.rest, method)
	if path == "" {
		f.offer(&n.ends, method)
		return
	}
	part, rest := path[1:], ""
	if i := strings.IndexByte(part, '/'); i >= 0 {
		part, rest = part[:i], part[i:]
	}
	if next := n.literals[part]; next != nil {
		next.match(rest, method, f)
	}
	if n.variable != nil {
		n.variable.match(rest, method, f)
	}
}
