package gateway

import (
	"fmt"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/cases"
	"github.com/zproxy/zproxy/policy/operation"
)

// TestCase is a test of the configuration as the rules are put to it.
type TestCase struct {
	config.Test
	now time.Time
}

// Case makes t a test case at a point in time.
func Case(t config.Test, now time.Time) TestCase { return TestCase{t, now} }

// Title is the test's name, or who asks for what.
func (c TestCase) Title() string {
	switch {
	case c.Name != "":
		return c.Name
	case c.Operation != "":
		return c.Caller + " " + c.Operation
	}
	return c.Caller + " " + c.Method + " " + c.Target
}

// Check says how the decision differs from what is expected; "" if it does not.
// The error says what is wrong with the test itself.
func (c TestCase) Check(catalogue *operation.Catalogue, p *policy.Policy) (string, error) {
	caller, err := authn.ParseCaller(c.Caller)
	if err != nil {
		return "", err
	}
	return cases.Case{
		Name: c.Name,
		Request: cases.Request{
			Caller: caller, Operation: operation.Name(c.Operation), Method: c.Method, Target: c.Target,
			ContentType: c.ContentType, Body: c.Body, Organization: c.Organization, Now: c.now,
		},
		Allow: c.Allow, Rule: c.Rule, As: c.As, Reason: c.Reason, Shadow: c.Shadow,
	}.Check(catalogue, p)
}

// failed is Check with the error as a difference, in one sentence.
func (c TestCase) failed(catalogue *operation.Catalogue, p *policy.Policy) string {
	wrong, err := c.Check(catalogue, p)
	if err != nil {
		wrong = err.Error()
	}
	if wrong == "" {
		return ""
	}
	return fmt.Sprintf("test %q fails: %s", c.Title(), wrong)
}
