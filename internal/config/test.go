package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) tests(n ast.Node) []Test {
	var out []Test
	d.sequence(n, func(n ast.Node) { out = append(out, d.test(n)) })
	return out
}

func (d *decoder) test(n ast.Node) Test {
	t := Test{ContentType: "application/json"}
	d.mapping(n, keys{
		"name":         func(n ast.Node) { t.Name = d.text(n) },
		"caller":       func(n ast.Node) { t.Caller = d.text(n) },
		"operation":    func(n ast.Node) { t.Operation = d.text(n) },
		"request":      func(n ast.Node) { t.Method, t.Target = d.request(n) },
		"content_type": func(n ast.Node) { t.ContentType = d.text(n) },
		"body":         func(n ast.Node) { t.Body = d.json(n) },
		"organization": func(n ast.Node) { t.Organization = d.text(n) },
		"expect":       func(n ast.Node) { t.Allow = d.effect(n) },
		"rule":         func(n ast.Node) { t.Rule = d.text(n) },
		"as":           func(n ast.Node) { t.As = d.text(n) },
		"reason":       func(n ast.Node) { t.Reason = d.text(n) },
		"shadow":       func(n ast.Node) { t.Shadow = d.text(n) },
	}, "caller: unix:crm", "expect: allow, or expect: deny")
	_, operation := d.positions[d.path+".operation"]
	_, request := d.positions[d.path+".request"]
	if operation == request {
		d.wrong(n, "a test is about either an operation or a request", "give operation: zitadel.user.v2.UserService/ListUsers, or request: POST /v2/users")
	}
	if t.Allow && t.Reason != "" {
		d.misplaced("reason", "a request that is allowed has the reason allowed", "remove it, or expect: deny")
	}
	if !t.Allow && t.As != "" {
		d.misplaced("as", "a request that is denied is performed as nobody", "remove it, or expect: allow")
	}
	return t
}

// request reads "POST /v2/users".
func (d *decoder) request(n ast.Node) (method, target string) {
	s := d.text(n)
	method, target, ok := strings.Cut(s, " ")
	if s != "" && (!ok || method == "" || strings.ToUpper(method) != method || !strings.HasPrefix(target, "/")) {
		d.wrong(n, fmt.Sprintf("%q is no request", s), "write a method and a target: POST /v2/users")
	}
	return method, target
}

func (d *decoder) json(n ast.Node) string {
	s := d.prose(n)
	if s != "" && !json.Valid([]byte(s)) {
		d.wrong(n, "this is not JSON", `write the body in quotes: '{"userId": "1"}'`)
	}
	return s
}

func (d *decoder) effect(n ast.Node) bool {
	s := d.text(n)
	if s != "allow" && s != "deny" && s != "" {
		d.wrong(n, fmt.Sprintf("%q is neither allow nor deny", s), "write one of them")
	}
	return s == "allow"
}

// Suite is a file of tests beside a configuration.
type Suite struct {
	Tests []Test
	d     *decoder
}

// LoadSuite reads a file whose one key is tests. The error is [Faults] when the
// file can be read.
func LoadSuite(path string) (*Suite, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading tests: %w", err)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	s := &Suite{d: newDecoder(path, data)}
	if root := s.d.parse(data); root != nil {
		s.d.mapping(root, keys{"tests": func(n ast.Node) { s.Tests = s.d.tests(n) }}, "tests: and a list of cases under it")
	}
	if len(s.d.faults) > 0 {
		return nil, s.d.faults.inOrder()
	}
	return s, nil
}

// Fault is a fault of the test at index, at its place in the file.
func (s *Suite) Fault(index int, message, fix string) Fault {
	c := Config{file: s.d.file, lines: s.d.lines, positions: s.d.positions}
	return c.Fault(fmt.Sprintf("tests[%d]", index), message, fix)
}
