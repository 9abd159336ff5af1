package operation

import (
	"fmt"
	"strings"
)

// parse reads the generated table and adds the hand-written one.
func parse(text string) (*Catalogue, error) {
	c := &Catalogue{byName: make(map[Name]*Operation, 1024)}
	service := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns, isOperation := strings.CutPrefix(line, "\t")
		if !isOperation {
			service = line
			continue
		}
		if err := c.addLine(service, columns); err != nil {
			return nil, err
		}
	}
	if err := c.addPlain(); err != nil {
		return nil, err
	}
	return c, nil
}

// addLine reads one RPC; internal/generate documents the columns.
func (c *Catalogue) addLine(service, line string) error {
	columns := strings.Split(line, "\t")
	if service == "" || len(columns) < 4 {
		return fmt.Errorf("reading catalogue: a line that is no operation: %q", line)
	}
	hazards, err := parseHazards(columns[3])
	if err != nil {
		return fmt.Errorf("reading catalogue: %s/%s: %w", service, columns[0], err)
	}
	name := Name(service + "/" + columns[0])
	op := &Operation{
		Name: name, Permission: columns[2], Hazards: hazards, surface: surfaceOf(name),
		Changes:    strings.Contains(columns[1], "c"),
		Deprecated: strings.Contains(columns[1], "d"),
		NamesUser:  strings.Contains(columns[1], "u"),
	}
	for _, column := range columns[4:] {
		method, template, _ := strings.Cut(column, " ")
		template, body := strings.CutSuffix(template, " *")
		r := Route{Method: method, Template: template, Body: body}
		if body {
			r.accepts = acceptsJSON
		}
		op.Routes = append(op.Routes, r)
	}
	c.add(op)
	return c.addRoutes(op, REST, true)
}

func parseHazards(names string) (Hazards, error) {
	var all Hazards
	for names != "" {
		var name string
		name, names, _ = strings.Cut(names, ",")
		h, err := ParseHazard(name)
		if err != nil {
			return 0, err
		}
		all |= h
	}
	return all, nil
}
