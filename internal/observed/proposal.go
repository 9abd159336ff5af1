package observed

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	comments      []string // about the rule
	about         map[string]string
	organizations map[string]int // of the requests; "" for none
}

// entry is an operation of one caller and service user.
type entry struct {
	op *operation.Operation
	*seen
	earlier []string // service users as whom the caller did it too, and whose rules come first
}

// Rules proposes rules. as is the service user for what was refused; "" leaves
// a mark to be changed, and so does [policy.AsCaller] for operations that the
// caller's own token is not for. Callers that did the same things as the same
// service user share a rule; a hazardous operation stands in a rule of its own.
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
	users := make(map[pair][]string)
	for p := range u.pairs {
		if p.serviceUser != "" {
			key := pair{p.caller, p.operation, ""}
			users[key] = append(users[key], p.serviceUser)
		}
	}
	refused := u.refusedAs(as)
	for p, s := range u.pairs {
		op, _ := u.catalogue.Lookup(p.operation)
		e := entry{op: op, seen: s}
		user := p.serviceUser
		if user == "" {
			if len(users[p]) > 0 {
				continue
			}
			user = refused(op)
		}
		for _, other := range users[pair{p.caller, p.operation, ""}] {
			if other < user {
				e.earlier = append(e.earlier, other)
			}
		}
		key := p.caller + "\x00" + user
		all[key] = append(all[key], e)
	}
	for key := range all {
		slices.SortFunc(all[key], func(a, b entry) int { return strings.Compare(string(a.op.Name), string(b.op.Name)) })
	}
	return all
}

// refusedAs tells the service user of an operation that was refused. For which
// operations the caller's own token will do is the policy's to say.
func (u *Use) refusedAs(as string) func(*operation.Operation) string {
	asked := make(map[*operation.Operation]string)
	return func(op *operation.Operation) string {
		if as != policy.AsCaller {
			return cmp.Or(as, ChangeMe)
		}
		if asked[op] == "" {
			asked[op] = as
			rule := policy.Rule{Name: "x", Callers: []string{"anonymous:x"}, Operations: []string{string(op.Name)}, Hazards: op.Hazards.Names(), As: as}
			if _, err := policy.Compile(u.catalogue, []policy.Rule{rule}); err != nil {
				asked[op] = ChangeMe
			}
		}
		return asked[op]
	}
}

// add proposes the rules of one group: one for what has no hazards, and one for
// each operation that has.
func (p *Proposal) add(callers []string, user string, entries map[string][]entry, names map[string]bool) {
	var plain proposed
	var hazardous []proposed
	for i, e := range entries[callers[0]+"\x00"+user] {
		of := make([]entry, len(callers))
		for j, c := range callers {
			of[j] = entries[c+"\x00"+user][i]
		}
		if e.op.Hazards == 0 || user == policy.AsCaller && e.op.Hazards == operation.OwnUser {
			plain.take(e.op, of)
			continue
		}
		var r proposed
		r.take(e.op, of)
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
		if text := aboutOrganizations(r.organizations); text != "" {
			r.comments = append(r.comments, text)
		}
		p.rules = append(p.rules, r)
	}
}

func (r *proposed) take(op *operation.Operation, of []entry) {
	if r.about == nil {
		r.about, r.organizations = make(map[string]string), make(map[string]int)
	}
	r.Operations = append(r.Operations, string(op.Name))
	r.about[string(op.Name)] = describe(op, of)
	for _, e := range of {
		for id, n := range e.organizations {
			r.organizations[id] += n
		}
	}
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
