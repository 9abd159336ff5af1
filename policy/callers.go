package policy

import (
	"slices"
	"strings"

	"github.com/zproxy/zproxy/authn"
)

const spiffe = "spiffe://"

// node is a step in the tree of SPIFFE patterns: trust domain, then segments.
type node struct {
	children map[string]*node
	any      *node // the segment '*'
	rules    []int // of the pattern that ends here
	row      row   // of those rules; nil where no pattern ends
}

func (n *node) child(segment string) *node {
	if segment == "*" {
		if n.any == nil {
			n.any = new(node)
		}
		return n.any
	}
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	if n.children[segment] == nil {
		n.children[segment] = new(node)
	}
	return n.children[segment]
}

func (n *node) insert(pattern string, rule int) {
	for segment := range strings.SplitSeq(strings.TrimPrefix(pattern, spiffe), "/") {
		n = n.child(segment)
	}
	if !slices.Contains(n.rules, rule) {
		n.rules = append(n.rules, rule)
	}
}

// each calls f for the nodes of all patterns that match the rest of an ID.
func (n *node) each(rest string, f func(*node)) {
	segment, next, more := strings.Cut(rest, "/")
	for _, child := range [2]*node{n.children[segment], n.any} {
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
	segment, next, more := strings.Cut(rest, "/")
	for _, child := range [2]*node{n.children[segment], n.any} {
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
	exact    map[authn.Caller]row
	patterns node
}

func (x *index) cell(caller authn.Caller, op int) cell {
	if r, ok := x.exact[caller]; ok {
		return r[op]
	}
	var c cell
	if caller.Kind() == authn.KindSPIFFE {
		x.patterns.lookup(caller.String()[len(spiffe):], op, &c)
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
			} else {
				x.patterns.insert(p.String(), i)
			}
		}
	}
	rows := make(map[string]row)
	for c, of := range named {
		if c.Kind() == authn.KindSPIFFE {
			x.patterns.each(c.String()[len(spiffe):], func(n *node) { of = append(of, n.rules...) })
		}
		slices.Sort(of)
		x.exact[c] = shared(rows, rules, slices.Compact(of), size)
	}
	x.patterns.fill(rows, rules, size)
	return x
}

func (n *node) fill(rows map[string]row, rules []compiled, size int) {
	if len(n.rules) > 0 {
		n.row = shared(rows, rules, n.rules, size)
	}
	if n.any != nil {
		n.any.fill(rows, rules, size)
	}
	for _, child := range n.children {
		child.fill(rows, rules, size)
	}
}
