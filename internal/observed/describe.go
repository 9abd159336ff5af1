package observed

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zproxy/zproxy/policy/operation"
)

// describe is what was seen of an operation: how often, until when, and what a reviewer should know.
func describe(op *operation.Operation, of []entry) string {
	allowed, denied := 0, 0
	var last time.Time
	organizations := make(map[string]int)
	var shadows, earlier []string
	for _, s := range of {
		allowed, denied = allowed+s.allowed, denied+s.denied
		if s.last.After(last) {
			last = s.last
		}
		for id, n := range s.organizations {
			organizations[id] += n
		}
		shadows, earlier = append(shadows, s.shadows...), append(earlier, s.earlier...)
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
		text += ", all in organization " + shown(id)
	}
	if names := list(shadows); names != "" {
		text += ", shadow " + names
	}
	if names := list(earlier); names != "" {
		text += ", also as " + names + ", whose rule comes first and decides"
	}
	if op.Deprecated {
		text += ", deprecated"
	}
	return text
}

// list names each once, in alphabetical order.
func list(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	for i := range names {
		names[i] = shown(names[i])
	}
	return strings.Join(names, " ")
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

// aboutOrganizations says what the rule, which has no organizations, does to
// requests that had one; "" if none had.
func aboutOrganizations(seen map[string]int) string {
	if id := only(seen); id != "" {
		return fmt.Sprintf("organizations: [%s] was in all %d requests; without it x-zitadel-orgid is dropped", strconv.QuoteToASCII(id), seen[id])
	}
	if len(seen) > 1 {
		return "some requests had x-zitadel-orgid, which is dropped unless the rule has organizations"
	}
	return ""
}
