package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"sort"
	"strings"
)

// mutant is one decision of a file, from and to its bytes, that a number turns
// round. An error is turned into none, anything else into its opposite.
type mutant struct {
	from, to, line int
	was            string
	isError        bool
}

// mutantsOf finds each condition, each returned truth and each returned error
// of a file, the outer ones before those within them.
func mutantsOf(name string, text []byte) (pkg string, all []mutant, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return "", nil, err
	}
	add := func(e ast.Expr, isError bool) {
		from, to := files.Position(e.Pos()), files.Position(e.End())
		all = append(all, mutant{from.Offset, to.Offset, from.Line, string(text[from.Offset:to.Offset]), isError})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			if !isErrCheck(n.Cond) {
				add(n.Cond, false)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil {
				return true
			}
			for _, s := range n.Body.List {
				for _, condition := range s.(*ast.CaseClause).List {
					add(condition, false)
				}
			}
		case *ast.ReturnStmt:
			for _, result := range n.Results {
				if isTruth(result) && !besideError(n) || isNewError(result) {
					add(result, isNewError(result))
				}
			}
		}
		return true
	})
	return file.Name.Name, all, nil
}

func isTruth(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "true" || e.Name == "false"
	case *ast.UnaryExpr:
		return e.Op == token.NOT
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ:
			return true
		}
	}
	return false
}

func isNewError(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && (pkg.Name == "fmt" && f.Sel.Name == "Errorf" || pkg.Name == "errors" && f.Sel.Name == "New")
}

// besideError tells a return of an error with other results: what stands beside
// one is not looked at.
func besideError(r *ast.ReturnStmt) bool {
	if len(r.Results) == 1 {
		return false
	}
	last := r.Results[len(r.Results)-1]
	switch e := last.(type) {
	case *ast.Ident:
		return e.Name == "err"
	case *ast.CallExpr:
		f, ok := e.Fun.(*ast.Ident)
		return ok && f.Name == "fail" || isNewError(last) // fail makes the errors of policy/operation
	}
	return false
}

// isErrCheck tells "err != nil": what cannot fail in a test has no test.
func isErrCheck(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	if !ok {
		return false
	}
	x, ok := b.X.(*ast.Ident)
	return ok && x.Name == "err"
}

// switched is the file with all its mutants in it, each waiting for its number:
// the first has the number first.
func switched(text []byte, mutants []mutant, first int) string {
	type piece struct {
		at, order int // what ends at a place stands before what begins there
		text      string
	}
	var pieces []piece
	for i, m := range mutants {
		before, after := "(", fmt.Sprintf(") != (mutantNumber == %d)", first+i)
		if m.isError {
			before, after = fmt.Sprintf("mutantError(%d, ", first+i), ")"
		}
		pieces = append(pieces, piece{m.from, len(mutants) + i, before}, piece{m.to, -i, after})
	}
	sort.Slice(pieces, func(i, j int) bool {
		a, b := pieces[i], pieces[j]
		return a.at < b.at || a.at == b.at && a.order < b.order
	})
	var out strings.Builder
	done := 0
	for _, p := range pieces {
		out.Write(text[done:p.at])
		out.WriteString(p.text)
		done = p.at
	}
	out.Write(text[done:])
	return out.String()
}

// numbers is the file that each package with mutants gets.
func numbers(pkg string) string {
	return "package " + pkg + `

import (
	"os"
	"strconv"
)

var mutantNumber, _ = strconv.Atoi(os.Getenv("MUTANT"))

func mutantError(number int, err error) error {
	if number == mutantNumber {
		return nil
	}
	return err
}
`
}
