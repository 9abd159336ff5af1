package telemetry

import "strings"

// What stands for operations that are not named.
const (
	otherOperation = "other" // no rule names it
	noOperation    = "none"  // the request was refused before it had one
)

// operations turn an operation into its label: its name where a rule has it in
// full, else the wildcard that covers it, else "other". There are as many
// labels as rules have entries, whatever callers ask for.
type operations struct {
	full      map[string]bool
	wildcards map[string][]string // by service: prefixes of methods
	all       bool                // a rule that learns names "*"
}

func newOperations(named []string) *operations {
	o := &operations{full: make(map[string]bool), wildcards: make(map[string][]string)}
	for _, name := range named {
		prefix, wild := strings.CutSuffix(name, "*")
		if !wild {
			o.full[name] = true
			continue
		}
		service, method, ok := strings.Cut(prefix, "/")
		if !ok {
			o.all = true
			continue
		}
		o.wildcards[service] = append(o.wildcards[service], method)
	}
	return o
}

// label allocates for an operation that a wildcard covers, and nothing for others.
func (o *operations) label(name string) string {
	switch {
	case name == "":
		return noOperation
	case o.full[name]:
		return name
	}
	service, method, _ := strings.Cut(name, "/")
	longest := -1
	for _, prefix := range o.wildcards[service] {
		if len(prefix) > longest && strings.HasPrefix(method, prefix) {
			longest = len(prefix)
		}
	}
	switch {
	case longest >= 0:
		return service + "/" + method[:longest] + "*"
	case o.all:
		return "*"
	}
	return otherOperation
}
