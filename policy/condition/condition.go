// Package condition compiles and evaluates the conditions of rules: expressions
// of CEL (https://cel.dev) over the request message, the caller and the operation.
//
// An expression is checked against the request message of an RPC when it is
// compiled, so that a misspelt field is found before any request comes in.
// Evaluation has a bound, and what cannot be evaluated does not hold.
package condition

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/ext"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/message"
)

const (
	// maxCost bounds an evaluation, in CEL's units: about one per step, so that
	// the longest takes a few milliseconds.
	maxCost = 100_000
	// maxLength bounds an expression, in bytes.
	maxLength = 4096
)

// Environment knows the types that expressions may use.
type Environment struct{ base *cel.Env }

// New makes an environment over the request messages of types.
func New(types *message.Types) (*Environment, error) {
	base, err := cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(env.NewLibrarySubset().AddExcludedFunctions(env.NewFunction("matches")))),
		ext.Strings(),
		cel.TypeDescs(types.Files()),
		cel.Variable("caller", cel.StringType),
		cel.Variable("operation", cel.StringType),
	)
	return &Environment{base}, err
}

// Condition is an expression, checked against one request message. It is
// immutable and safe for concurrent use.
type Condition struct{ program cel.Program }

// Compile checks expression against the request message shape. The error says
// where in the expression something is wrong.
func (e *Environment) Compile(expression string, shape protoreflect.MessageDescriptor) (*Condition, error) {
	if len(expression) > maxLength {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxLength)
	}
	with, err := e.base.Extend(cel.Variable("request", cel.ObjectType(string(shape.FullName()))))
	if err != nil {
		return nil, err
	}
	checked, issues := with.Compile(expression)
	if issues.Err() != nil {
		return nil, brief(issues)
	}
	if checked.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("the expression is a %s and must be true or false (bool)", checked.OutputType())
	}
	program, err := with.Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, err
	}
	return &Condition{program}, nil
}

// brief is the first thing that is wrong, in one line.
func brief(issues *cel.Issues) error {
	for _, e := range issues.Errors() {
		message, _, _ := strings.Cut(e.Message, "\n")
		return fmt.Errorf("column %d: %s", e.Location.Column()+1, message)
	}
	return issues.Err()
}

// Constant tells whether the condition comes to the same for every request and
// caller of an operation, and to what. An expression that needs neither is the
// same for all: without them, CEL evaluates "false && …" and nothing that looks
// at the request.
func (c *Condition) Constant(operation string) (holds, constant bool) {
	out, _, err := c.program.Eval(map[string]any{"operation": operation})
	if err == nil {
		holds, constant = out.Value().(bool)
	}
	return holds, constant
}

// ErrFalse tells that a condition was evaluated and does not hold.
var ErrFalse = errors.New("the condition does not hold for this request")

// Holds tells whether the condition holds: nil if it does, [ErrFalse] if it
// does not, and another error if it cannot be evaluated, which is no better.
func (c *Condition) Holds(request protoreflect.Message, caller, operation string) error {
	out, _, err := c.program.Eval(map[string]any{"request": request.Interface(), "caller": caller, "operation": operation})
	if err != nil {
		return fmt.Errorf("the condition cannot be evaluated for this request: %w", err)
	}
	if held, ok := out.Value().(bool); !ok || !held {
		return ErrFalse
	}
	return nil
}
