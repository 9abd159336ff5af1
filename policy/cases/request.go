// Package cases asks a policy about made-up requests: for explanations, and for
// test cases that say what must come out.
package cases

import (
	"errors"
	"fmt"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

// Request is a request that nobody sends: an operation by its name, or method
// and target.
type Request struct {
	Caller       authn.Caller
	Operation    operation.Name // or Method and Target
	Method       string
	Target       string
	ContentType  string
	Body         string // the request message as JSON; "" is none
	Organization string // x-zitadel-orgid
	Now          time.Time
}

// Subject is what the policy is asked about.
type Subject struct {
	Operation *operation.Operation
	Resolved  operation.Resolved // the zero Resolved for an operation by its name
	Facts     policy.Facts
}

// Subject resolves r and reads its message, which is given as JSON whatever the
// transport of the request. For an operation by its name there
// is a message only if there is a body; a request has one always. The error is
// an [*operation.Error] where the request would be refused before any rule is
// asked, and an [*UnreadableError] where its message cannot be read.
func (r Request) Subject(catalogue *operation.Catalogue) (Subject, error) {
	s := Subject{Facts: policy.Facts{Organization: r.Organization, Now: r.Now}}
	if r.Operation != "" {
		op, ok := catalogue.Lookup(r.Operation)
		if !ok {
			return Subject{}, fmt.Errorf("no operation is called %q; list what there is with zproxy operations", r.Operation)
		}
		s.Operation = op
		if r.Body == "" {
			return s, nil
		}
		return s, s.read(message.Source{JSON: true, Body: []byte(r.Body)})
	}
	resolved, err := catalogue.Resolve(operation.Request{Method: r.Method, Target: r.Target, ContentType: r.ContentType})
	if err != nil {
		return Subject{}, err
	}
	s.Operation, s.Resolved, s.Facts.Variables = resolved.Operation, resolved, resolved.Variables
	body := r.Body
	if body == "" && resolved.Protocol != operation.REST {
		body = "{}"
	}
	return s, s.read(message.Source{
		JSON: true, Body: []byte(body), REST: resolved.Protocol == operation.REST, BodyIsMessage: resolved.BodyIsMessage,
		Variables: resolved.Variables, Query: resolved.QueryPairs,
	})
}

// UnreadableError is why a message cannot be read; a rule that looks into
// messages refuses such a request.
type UnreadableError struct{ Err error }

func (e *UnreadableError) Error() string { return e.Err.Error() }
func (e *UnreadableError) Unwrap() error { return e.Err }

func (s *Subject) read(source message.Source) error {
	types, err := message.Default()
	if err != nil {
		return err
	}
	if _, ok := types.Of(s.Operation.Name); !ok {
		return nil
	}
	m, err := types.Read(s.Operation.Name, source)
	if err != nil {
		return &UnreadableError{err}
	}
	s.Facts.Message = m
	return nil
}

// Decide is what the policy decides on r, refusals before any rule included.
func (r Request) Decide(catalogue *operation.Catalogue, p *policy.Policy) (policy.Decision, error) {
	s, err := r.Subject(catalogue)
	var refused *operation.Error
	var unreadable *UnreadableError
	switch {
	case errors.As(err, &refused):
		return policy.Decision{Reason: policy.Reason(refused.Reason), RuleIndex: -1, Detail: refused.Detail}, nil
	case errors.As(err, &unreadable):
		if decides, _ := p.Looks(r.Caller, s.Operation); decides {
			return policy.Decision{Reason: policy.ReasonUnreadable, RuleIndex: -1, Detail: unreadable.Error()}, nil
		}
	case err != nil:
		return policy.Decision{}, err
	}
	return p.Decide(r.Caller, s.Operation, s.Facts), nil
}
