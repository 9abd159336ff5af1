package policy

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with the rules.
type Fault struct {
	Rule    string // the rule's name; "" where the fault is that it has none
	Index   int    // the rule's position, from 0
	Field   string // the key in the configuration: "operations"
	Item    int    // position within a list, from 0; -1 where the field as a whole is at fault
	Message string // lowercase, what is wrong
	Fix     string // what to write instead
}

// String is one line: where, what, and the fix.
func (f Fault) String() string {
	name := f.Rule
	if name == "" {
		name = fmt.Sprintf("#%d", f.Index+1)
	}
	at := f.Field
	if f.Item >= 0 {
		at = fmt.Sprintf("%s[%d]", f.Field, f.Item)
	}
	return fmt.Sprintf("rule %s: %s: %s; %s", name, at, f.Message, f.Fix)
}

// Faults are all faults of a set of rules, in file order.
type Faults []Fault

// Error lists the faults, one to a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return "compiling rules: " + strings.Join(lines, "\n")
}
