package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder walks the syntax tree and collects every fault instead of stopping
// at the first.
type decoder struct {
	file      string
	lines     []string
	path      string // of what is being read: "rules[2].operations"
	positions map[string]position
	faults    Faults
}

// keys are what a mapping may have: each key with what reads its value.
type keys map[string]func(ast.Node)

func newDecoder(file string, data []byte) *decoder {
	return &decoder{file: file, lines: strings.Split(string(data), "\n"), positions: make(map[string]position)}
}

func (d *decoder) fault(p position, message, fix string) {
	d.faults = append(d.faults, Fault{File: d.file, Line: p.line, Column: p.column, Message: message, Fix: fix, Excerpt: excerpt(d.lines, p.line)})
}

// wrong is a fault of n's value.
func (d *decoder) wrong(n ast.Node, message, fix string) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		fix = "write the value out"
	}
	d.fault(at(n), d.named(message), fix)
}

// misplaced is a fault of a key of the mapping that was just read: the others
// leave it no meaning.
func (d *decoder) misplaced(key, message, fix string) {
	d.fault(d.positions[d.path+"."+key], d.named(message), fix)
}

// had reports whether the mapping that was just read has key.
func (d *decoder) had(key string) bool {
	_, ok := d.positions[d.path+"."+key]
	return ok
}

// named puts the key that is being read before message.
func (d *decoder) named(message string) string {
	if d.path == "" {
		return message
	}
	return d.path + ": " + message
}

// within reads with step appended to the path, and remembers its place.
func (d *decoder) within(step string, p position, read func()) {
	before := d.path
	d.path += step
	if before == "" {
		d.path = strings.TrimPrefix(d.path, ".")
	}
	d.positions[d.path] = p
	read()
	d.path = before
}

// mapping reads a mapping with known keys, each at most once, some at least
// once. A required key is given with an example of its value: "rate: 45/s".
func (d *decoder) mapping(n ast.Node, known keys, required ...string) bool {
	values, ok := mappingValues(n)
	if !ok {
		d.wrong(n, "keys and values are needed here, not "+kind(n), "the keys are "+list(known))
		return false
	}
	seen := make(map[string]bool)
	for _, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			d.fault(at(v.Key), d.named("a key must be plain text; anchors, merges and other forms are not read"), "write the keys out")
			continue
		}
		read := known[key.Value]
		switch {
		case read == nil:
			d.unknown(key, known)
		case seen[key.Value]:
			d.fault(at(key), d.named("the key "+key.Value+" is given twice"), "keep one of them")
		default:
			d.within("."+key.Value, at(key), func() { read(v.Value) })
		}
		seen[key.Value] = true
	}
	for _, example := range required {
		if key, _, _ := strings.Cut(example, ":"); !seen[key] {
			d.fault(at(n), d.named("the key "+key+" is missing"), "add "+example)
		}
	}
	return true
}

func (d *decoder) unknown(key *ast.StringNode, known keys) {
	fix := "the keys here are " + list(known)
	if near := nearest(key.Value, slices.Collect(maps.Keys(known))); near != "" {
		fix = "did you mean " + near + "? " + fix
	}
	if slices.Contains(secretKeys(), strings.ToLower(key.Value)) {
		fix = "secrets never stand in the configuration: put it into a file and name that; the keys here are " + list(known)
	}
	d.fault(at(key), d.named("unknown key "+key.Value), fix)
}

func mappingValues(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// sequence reads the items of a list, and reports whether it is one.
func (d *decoder) sequence(n ast.Node, read func(item ast.Node)) bool {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrong(n, "a list is needed here, not "+kind(n), "write [a, b], or one item a line after '- '")
		return false
	}
	for i, item := range s.Values {
		d.within("["+strconv.Itoa(i)+"]", at(item), func() { read(item) })
	}
	return true
}

// text reads text; numbers and the like must be quoted to be text.
func (d *decoder) text(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		if n.Value == "" {
			d.wrong(n, "it is empty", "give it a value, or remove the key")
		}
		return n.Value
	case *ast.LiteralNode:
		d.wrong(n, "text of several lines is not read here", "write it on one line")
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		d.wrong(n, "text is needed here, not "+kind(n), "quote it: \""+n.GetToken().Value+"\"")
	default:
		d.wrong(n, "text is needed here, not "+kind(n), "write it on one line")
	}
	return ""
}

// prose is text that may span lines, as YAML's | and > have it.
func (d *decoder) prose(n ast.Node) string {
	l, ok := n.(*ast.LiteralNode)
	if !ok {
		return d.text(n)
	}
	s := strings.TrimSpace(l.Value.Value)
	if s == "" {
		d.wrong(n, "it is empty", "give it a value, or remove the key")
	}
	return s
}

func (d *decoder) texts(n ast.Node) []string {
	var out []string
	d.sequence(n, func(item ast.Node) {
		if s := d.text(item); s != "" {
			out = append(out, s)
		}
	})
	return out
}

func (d *decoder) boolean(n ast.Node) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		d.wrong(n, "true or false is needed here, not "+kind(n), "write one of them, without quotes")
		return false
	}
	return b.Value
}

// whole reads a whole number from least to most.
func (d *decoder) whole(n ast.Node, least, most uint64) uint64 {
	i, ok := n.(*ast.IntegerNode)
	if ok {
		if v, ok := i.Value.(uint64); ok && v >= least && v <= most {
			return v
		}
	}
	d.wrong(n, fmt.Sprintf("a whole number from %d to %d is needed here", least, most), "write it in digits, without quotes")
	return least
}

// kind names what a node is, for messages.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "an anchor, alias or tag, none of which is read"
	}
	return "text"
}

func list(k keys) string { return strings.Join(slices.Sorted(maps.Keys(k)), ", ") }
