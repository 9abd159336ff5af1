package policy

import (
	"slices"

	"github.com/zproxy/zproxy/authn"
)

// node is a step in a tree of patterns, part by part. A part is a SPIFFE ID's
// trust domain or segment, or what stands between ':' and '/' in a JWT's issuer
// name and subject. Each keeps the separator behind it, so that "a:b" and "a/b"
// have different ways.
type node struct {
	children map[string]*node
	rules    []int // of the pattern that ends here
	row      row   // of those rules; nil where no pattern ends
}

func (n *node) insert(pattern string, rule int) {
	for more := true; more; {
		var part string
		part, pattern, more = cutPart(pattern)
		if n.children == nil {
			n.children = make(map[string]*node)
		}
		if n.children[part] == nil {
			n.children[part] = new(node)
		}
		n = n.children[part]
	}
	if !slices.Contains(n.rules, rule) {
		n.rules = append(n.rules, rule)
	}
}

// ways are the children that a part leads to: its own, and that of '*', which
// stands for any part that is not empty.
func (n *node) ways(part string) [2]*node {
	own, end := n.children[part], len(part)-1
	switch {
	case part == "", part == "/", part == ":":
		return [2]*node{own}
	case part[end] == '/':
		return [2]*node{own, n.children["*/"]}
	case part[end] == ':':
		return [2]*node{own, n.children["*:"]}
	}
	return [2]*node{own, n.children["*"]}
}

// cutPart cuts s behind its first '/' or ':'.
func cutPart(s string) (part, rest string, more bool) {
	for i := range len(s) {
		if s[i] == '/' || s[i] == ':' {
			return s[:i+1], s[i+1:], true
		}
	}
	return s, "", false
}

// each calls f for the nodes of all patterns that match the rest of an identity.
func (n *node) each(rest string, f func(*node)) {
	part, next, more := cutPart(rest)
	for _, child := range n.ways(part) {
		switch {
		case child == nil:
		case more:
			child.each(next, f)
		case len(child.rules) > 0:
			f(child)
		}
	}
}

// lookup merges the cells that the matching patterns have for an operation.
// It is each without a function value, which would be allocated per request.
func (n *node) lookup(rest string, op int, into *cell) {
	part, next, more := cutPart(rest)
	for _, child := range n.ways(part) {
		switch {
		case child == nil:
		case more:
			child.lookup(next, op, into)
		case child.row != nil:
			into.merge(child.row[op])
		}
	}
}

// index finds the rules of a caller.
type index struct {
	exact       map[authn.Caller]row
	spiffe, jwt node // the patterns of each kind that has some
}

// tree is where the patterns stand that can match identities of a kind, and
// what of the identity they are about; nil for a kind without patterns.
func (x *index) tree(kind authn.Kind, identity string) (*node, string) {
	switch kind {
	case authn.KindSPIFFE:
		return &x.spiffe, identity[len("spiffe://"):]
	case authn.KindJWT:
		return &x.jwt, identity[len("jwt:"):]
	}
	return nil, ""
}

func (x *index) cell(caller authn.Caller, op int) cell {
	if r, ok := x.exact[caller]; ok {
		return r[op]
	}
	var c cell
	if n, rest := x.tree(caller.Kind(), caller.String()); n != nil {
		n.lookup(rest, op, &c)
	}
	return c
}

// newIndex gives each caller that is named its own row, in which the patterns
// that match it count too, and each pattern a row for callers not named.
func newIndex(rules []compiled, size int) index {
	x := index{exact: make(map[authn.Caller]row)}
	named := make(map[authn.Caller][]int)
	for i, r := range rules {
		for _, p := range r.callers {
			if c, ok := p.Caller(); ok {
				named[c] = append(named[c], i)
			} else if n, rest := x.tree(p.Kind(), p.String()); n != nil {
				n.insert(rest, i)
			}
		}
	}
	rows := make(map[string]row)
	for c, of := range named {
		if n, rest := x.tree(c.Kind(), c.String()); n != nil {
			n.each(rest, func(n *node) { of = append(of, n.rules...) })
		}
		slices.Sort(of)
		x.exact[c] = shared(rows, rules, slices.Compact(of), size)
	}
	x.spiffe.fill(rows, rules, size)
	x.jwt.fill(rows, rules, size)
	return x
}

func (n *node) fill(rows map[string]row, rules []compiled, size int) {
	if len(n.rules) > 0 {
		n.row = shared(rows, rules, n.rules, size)
	}
	for _, child := range n.children {
		child.fill(rows, rules, size)
	}
}
