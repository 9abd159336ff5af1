package main

import (
	"go/ast"
	"go/parser"
	"go/token"
)

// mutant is one change of a file: bytes from to to are replaced.
type mutant struct {
	from, to, line int
	was, now       string
}

// mutantsOf turns each condition, each returned truth and each returned error
// of a file into its opposite.
func mutantsOf(name string, text []byte) ([]mutant, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []mutant
	replace := func(n ast.Node, now func(was string) string) {
		from, to := files.Position(n.Pos()), files.Position(n.End())
		was := string(text[from.Offset:to.Offset])
		all = append(all, mutant{from.Offset, to.Offset, from.Line, was, now(was)})
	}
	not := func(was string) string { return "!(" + was + ")" }
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			if !isErrCheck(n.Cond) {
				replace(n.Cond, not)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil {
				return true
			}
			for _, s := range n.Body.List {
				for _, condition := range s.(*ast.CaseClause).List {
					replace(condition, not)
				}
			}
		case *ast.ReturnStmt:
			for _, result := range n.Results {
				mutateResult(result, replace)
			}
		}
		return true
	})
	return all, nil
}

func mutateResult(result ast.Expr, replace func(ast.Node, func(string) string)) {
	switch r := result.(type) {
	case *ast.Ident:
		if r.Name == "true" || r.Name == "false" {
			replace(r, func(was string) string { return map[string]string{"true": "false", "false": "true"}[was] })
		}
	case *ast.BinaryExpr:
		switch r.Op {
		case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ:
			replace(r, func(was string) string { return "!(" + was + ")" })
		}
	case *ast.CallExpr:
		if s, ok := r.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "Errorf" || s.Sel.Name == "New") {
			replace(r, func(string) string { return "nil" })
		}
	}
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
