package config

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// parse returns the one document of data, or nil after a fault.
func (d *decoder) parse(data []byte) ast.Node {
	if line, column, ok := notUTF8(data); ok {
		d.fault(position{line, column}, "this is not UTF-8", "save the file as UTF-8")
		return nil
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			p := syntax.Token.Position
			d.fault(position{p.Line, p.Column}, "this is not YAML: "+syntax.Message, "mind indentation, quotes and brackets")
			return nil
		}
		d.fault(position{1, 1}, "this is not YAML: "+err.Error(), "")
		return nil
	}
	if len(file.Docs) > 0 {
		if directive, ok := file.Docs[0].Body.(*ast.DirectiveNode); ok {
			d.fault(at(directive), "YAML directives are not read", "remove the line, and the '---' after it")
			return nil
		}
	}
	if len(file.Docs) > 1 {
		second := at(file.Docs[1].Body)
		if start := file.Docs[1].Start; start != nil && start.Position != nil {
			second = position{start.Position.Line, start.Position.Column}
		}
		d.fault(second, "there is a second document", "keep one configuration in one file, without '---' between")
		return nil
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		d.fault(position{1, 1}, "the file is empty", "begin with `version: 1`; configs/ has examples")
		return nil
	}
	return file.Docs[0].Body
}

// at is where a node begins; a mapping begins at its first key.
func at(n ast.Node) position {
	switch n := n.(type) {
	case nil:
		return position{1, 1}
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return at(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return at(n.Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return position{t.Position.Line, t.Position.Column}
	}
	return position{1, 1}
}
