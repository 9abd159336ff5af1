package observed

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// ChangeMe stands for a service user that records do not tell.
const ChangeMe = "CHANGE-ME"

// Proposal is rules that allow what was observed, and nothing else.
type Proposal struct {
	rules []proposed
	// Complete tells that every rule has a service user.
	Complete bool
}

// proposed is a rule with what is known of each of its operations.
type proposed struct {
	policy.Rule
	comments []string // about the rule
	about    map[string]string
}

// entry is an operation of one caller and service user.
type entry struct {
	op *operation.Operation
	*seen
}

// Rules proposes rules. as is the service user for what was refused; "" leaves
// a mark to be changed. Callers that did the same things as the same service
// user share a rule; a hazardous operation stands in a rule of its own.
func (u *Use) Rules(as string) Proposal {
	entries := u.entries(as)
	groups := make(map[string][]string) // operations and service user → callers
	for _, of := range slices.Sorted(maps.Keys(entries)) {
		caller, user, _ := strings.Cut(of, "\x00")
		key := user
		for _, e := range entries[of] {
			key += "\x00" + string(e.op.Name)
		}
		groups[key] = append(groups[key], caller)
	}
	p := Proposal{Complete: true}
	names := make(map[string]bool)
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		user, _, _ := strings.Cut(key, "\x00")
		p.add(groups[key], user, entries, names)
	}
	return p
}

// entries are the operations of each caller and service user, in the order of
// their names. What was allowed as somebody and refused at other times needs
// no second rule.
func (u *Use) entries(as string) map[string][]entry {
	all := make(map[string][]entry)
	allowed := make(map[pair]bool)
	for p := range u.pairs {
		if p.serviceUser != "" {
			allowed[pair{p.caller, p.operation, ""}] = true
		}
	}
	for p, s := range u.pairs {
		user := p.serviceUser
		if user == "" {
			if allowed[p] {
				continue
			}
			if user = as; user == "" {
				user = ChangeMe
			}
		}
		op, _ := u.catalogue.Lookup(p.operation)
		key := p.caller + "\x00" + user
		all[key] = append(all[key], entry{op, s})
	}
	for key := range all {
		slices.SortFunc(all[key], func(a, b entry) int { return strings.Compare(string(a.op.Name), string(b.op.Name)) })
	}
	return all
}

// add proposes the rules of one group: one for what has no hazards, and one for
// each operation that has.
func (p *Proposal) add(callers []string, user string, entries map[string][]entry, names map[string]bool) {
	var plain proposed
	var hazardous []proposed
	for i, e := range entries[callers[0]+"\x00"+user] {
		of := make([]*seen, len(callers))
		for j, c := range callers {
			of[j] = entries[c+"\x00"+user][i].seen
		}
		about := describe(e.op, of)
		if e.op.Hazards == 0 || user == policy.AsCaller && e.op.Hazards == operation.OwnUser {
			plain.take(e.op, about)
			continue
		}
		var r proposed
		r.take(e.op, about)
		r.Hazards = e.op.Hazards.Names()
		if user == policy.AsCaller {
			r.Hazards = (e.op.Hazards &^ operation.OwnUser).Names()
		}
		r.comments = append(r.comments, "HAZARDOUS: "+strings.Join(e.op.Hazards.Names(), ", ")+"; review before you allow it")
		hazardous = append(hazardous, r)
	}
	rules := hazardous
	if len(plain.Operations) > 0 {
		rules = append([]proposed{plain}, hazardous...)
	}
	for _, r := range rules {
		r.Name, r.Callers, r.As = unused(callers[0], names), callers, user
		if user == ChangeMe {
			p.Complete = false
			r.comments = append(r.comments, "these requests were refused: name the service user that shall perform them")
		}
		p.rules = append(p.rules, r)
	}
}

func (r *proposed) take(op *operation.Operation, about string) {
	if r.about == nil {
		r.about = make(map[string]string)
	}
	r.Operations = append(r.Operations, string(op.Name))
	r.about[string(op.Name)] = about
}

// describe is what was seen of an operation: how often, until when, and what a reviewer should know.
func describe(op *operation.Operation, of []*seen) string {
	allowed, denied := 0, 0
	var last time.Time
	organizations := make(map[string]int)
	var shadows []string
	for _, s := range of {
		allowed, denied = allowed+s.allowed, denied+s.denied
		if s.last.After(last) {
			last = s.last
		}
		for id, n := range s.organizations {
			organizations[id] += n
		}
		shadows = append(shadows, s.shadows...)
	}
	var parts []string
	if allowed > 0 {
		parts = append(parts, fmt.Sprintf("%d allowed", allowed))
	}
	if denied > 0 {
		parts = append(parts, fmt.Sprintf("%d refused", denied))
	}
	text := strings.Join(parts, ", ") + ", last " + last.UTC().Format(time.DateOnly)
	if id := only(organizations); id != "" {
		text += ", all in organization " + id
	}
	slices.Sort(shadows)
	if shadows = slices.Compact(shadows); len(shadows) > 0 {
		text += ", shadow " + strings.Join(shadows, " ")
	}
	if op.Deprecated {
		text += ", deprecated"
	}
	return text
}

// only is the one organization of all requests, "" if there is not one.
func only(organizations map[string]int) string {
	if len(organizations) != 1 {
		return ""
	}
	for id := range organizations {
		return id
	}
	return ""
}

// unused is a readable name that no other rule has: the caller's last part.
func unused(caller string, names map[string]bool) string {
	last := caller[strings.LastIndexAny(caller, ":/")+1:]
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(last))
	base = base[:min(len(base), 40)] + "-observed"
	name := base
	for i := 2; names[name]; i++ {
		name = base + "-" + strconv.Itoa(i)
	}
	names[name] = true
	return name
}

// Rules are the rules themselves.
func (p Proposal) Rules() []policy.Rule {
	out := make([]policy.Rule, len(p.rules))
	for i, r := range p.rules {
		out[i] = r.Rule
	}
	return out
}

// YAML is the rules ready to paste into a configuration, with what was seen as comments.
func (p Proposal) YAML() []byte {
	var out bytes.Buffer
	fmt.Fprintln(&out, "rules:")
	for _, r := range p.rules {
		for _, c := range r.comments {
			fmt.Fprintf(&out, "  # %s\n", c)
		}
		fmt.Fprintf(&out, "  - name: %s\n    callers:\n", r.Name)
		for _, c := range r.Callers {
			fmt.Fprintf(&out, "      - %q\n", c)
		}
		fmt.Fprintln(&out, "    operations:")
		for _, op := range r.Operations {
			fmt.Fprintf(&out, "      - %s # %s\n", op, r.about[op])
		}
		if len(r.Hazards) > 0 {
			fmt.Fprintf(&out, "    hazards: [%s]\n", strings.Join(r.Hazards, ", "))
		}
		fmt.Fprintf(&out, "    as: %s\n", r.As)
	}
	return out.Bytes()
}
