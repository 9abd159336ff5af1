package config

import (
	"fmt"
	"sort"
	"strings"
)

// Fault is one thing wrong with a configuration, and where.
type Fault struct {
	File         string
	Line, Column int // from 1, in characters; 0 when it has no place
	Message      string
	Fix          string
	Excerpt      string // the line, without what could be a secret
}

// String is "file:line:column: what is wrong; the fix", the line, and a caret
// under the place.
func (f Fault) String() string {
	text := f.Place() + ": " + f.Message
	if f.Fix != "" {
		text += "; " + f.Fix
	}
	if f.Excerpt == "" {
		return text
	}
	before := []rune(f.Excerpt) // columns count characters, not bytes
	indent := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(before[:min(max(f.Column-1, 0), len(before))]))
	return text + "\n  | " + f.Excerpt + "\n  | " + indent + "^"
}

// Place is "file:line:column", or the file alone.
func (f Fault) Place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// Faults are all faults of a configuration, in the order of the file.
type Faults []Fault

// Error lists the faults.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) inOrder() Faults {
	sort.SliceStable(f, func(i, j int) bool {
		if f[i].Line != f[j].Line {
			return f[i].Line < f[j].Line
		}
		return f[i].Column < f[j].Column
	})
	return f
}

// position is a place in the file, from 1.
type position struct{ line, column int }

// Fault makes a fault of what was found wrong with cfg later, at a path such as
// "rules[2].operations[1]". Where the file does not have that path, its longest
// part that it does have is the place.
func (c *Config) Fault(path, message, fix string) Fault {
	f := Fault{File: c.file, Message: message, Fix: fix}
	for path != "" {
		if p, ok := c.positions[path]; ok {
			f.Line, f.Column = p.line, p.column
			f.Excerpt = excerpt(c.lines, p.line)
			return f
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return f
}

func excerpt(lines []string, line int) string {
	if line < 1 || line > len(lines) {
		return ""
	}
	return masked(strings.TrimRight(lines[line-1], " \r"))
}
