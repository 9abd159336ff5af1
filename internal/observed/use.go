// Package observed turns audit records into the rules that would allow exactly
// what callers did.
package observed

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// What bounds the memory, whatever the size of the files.
const (
	maxPairs   = 1 << 20 // callers × operations × service users: about half a KiB each
	maxReasons = 1000    // why requests are left out; what comes after them is counted together
)

// Filter chooses records. The zero Filter chooses all.
type Filter struct {
	Since, Until time.Time // of the record; zero is no bound
	Caller       string    // "" is every caller
	// Allowed and Refused choose by what was decided; neither is both.
	Allowed, Refused bool
}

// pair is who did what, as whom.
type pair struct {
	caller      string
	operation   operation.Name
	serviceUser string // "" where it was denied
}

// seen is how often, and how.
type seen struct {
	allowed, denied int
	last            time.Time
	organizations   map[string]int // "" for none
	shadows         []string
}

// LeftOut counts requests that no rule is proposed for.
type LeftOut struct {
	Reason string
	Count  int
}

// Use is what callers did.
type Use struct {
	catalogue *operation.Catalogue
	pairs     map[pair]*seen
	leftOut   map[string]int
	records   int
}

// New begins with nothing observed.
func New(catalogue *operation.Catalogue) *Use {
	return &Use{catalogue: catalogue, pairs: make(map[pair]*seen), leftOut: make(map[string]int)}
}

// Add reads the records of one file, gzip or not, and counts the outcomes that
// filter chooses. An error names the line that cannot be read.
func (u *Use) Add(in io.Reader, filter Filter) error {
	buffered := bufio.NewReader(in)
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("reading audit records: %w; the file begins as gzip does, get a whole copy of it", err)
		}
		buffered = bufio.NewReader(z)
	}
	for r := audit.NewReader(buffered); ; {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w; get a whole copy of the file, or remove the line", err)
		}
		if filter.chooses(&record) {
			if err := u.count(&record); err != nil {
				return err
			}
		}
	}
}

func (f *Filter) chooses(r *audit.Record) bool {
	switch {
	case r.Kind != audit.Outcome,
		!f.Since.IsZero() && r.Time.Before(f.Since),
		!f.Until.IsZero() && !r.Time.Before(f.Until),
		f.Caller != "" && r.Caller != f.Caller:
		return false
	}
	return f.Allowed == f.Refused || f.Allowed == (r.Effect == "allow")
}

// count adds one outcome. What was refused for another reason than that no rule
// allows it becomes no rule.
func (u *Use) count(r *audit.Record) error {
	u.records++
	allowed := r.Effect == "allow"
	op, known := u.catalogue.Lookup(operation.Name(r.Operation))
	_, err := authn.ParseCaller(r.Caller)
	switch {
	case r.Caller == "":
		u.leave("the caller was not established")
		return nil
	case err != nil:
		u.leave(fmt.Sprintf("the record has no whole caller; names of more than %d bytes are cut in records", audit.MaxText))
		return nil
	case r.Operation == "":
		u.leave("the request was no operation (" + shown(r.Reason) + ")")
		return nil
	case !known:
		u.leave("this build does not know " + shown(r.Operation))
		return nil
	case !allowed && !lacksRule(policy.Reason(r.Reason)):
		u.leave("it was refused for what it asked (" + shown(r.Reason) + ")")
		return nil
	case allowed && !isName(r.ServiceUser):
		u.leave("it was allowed, and the record has no name of a service user")
		return nil
	}
	if policy.ChangesItself(op) && (!allowed || r.ServiceUser != policy.AsCaller) {
		u.leave("it would change the service user itself; name it in a rule with as: caller")
		return nil
	}
	p := pair{r.Caller, op.Name, r.ServiceUser}
	if !allowed {
		p.serviceUser = ""
	}
	s := u.pairs[p]
	if s == nil {
		if len(u.pairs) == maxPairs {
			return fmt.Errorf("counting audit records: there are more than %d pairs of callers and operations; choose a shorter time or one caller", maxPairs)
		}
		s = &seen{organizations: make(map[string]int)}
		u.pairs[p] = s
	}
	s.add(r, allowed)
	return nil
}

func (s *seen) add(r *audit.Record, allowed bool) {
	if allowed {
		s.allowed++
	} else {
		s.denied++
	}
	if r.Time.After(s.last) {
		s.last = r.Time
	}
	if len(s.organizations) < 3 { // two are enough to know that there is not one
		s.organizations[r.Organization]++
	}
	if r.Shadow != "" && !slices.Contains(s.shadows, r.Shadow) && len(s.shadows) < 8 {
		s.shadows = append(s.shadows, r.Shadow)
	}
}

func (u *Use) leave(reason string) {
	if _, known := u.leftOut[reason]; !known && len(u.leftOut) >= maxReasons {
		reason = "other reasons"
	}
	u.leftOut[reason]++
}

// lacksRule tells the refusals that a rule would have made unnecessary.
func lacksRule(reason policy.Reason) bool {
	return reason == policy.ReasonNoRule || reason == policy.ReasonHazard || reason == policy.ReasonExcept || reason == policy.ReasonEnded
}

// Records is how many outcomes were counted.
func (u *Use) Records() int { return u.records }

// LeftOut are the requests that become no rule, the most frequent first.
func (u *Use) LeftOut() []LeftOut {
	var all []LeftOut
	for reason, n := range u.leftOut {
		all = append(all, LeftOut{reason, n})
	}
	slices.SortFunc(all, func(a, b LeftOut) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		if a.Reason < b.Reason {
			return -1
		}
		return 1
	})
	return all
}
