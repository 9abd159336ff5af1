package role

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// reader reads the table line by line.
type reader struct {
	data
	sets    []string
	notes   []string
	service string
	last    operation.Name
}

// read never returns nil: with an error, nothing is known.
func read(text string) (*data, error) {
	r := reader{data: data{needs: make(map[operation.Name]Need)}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := r.line(strings.TrimSuffix(line, "\n")); err != nil {
			return &data{}, fmt.Errorf("reading roles: line %d: %w", number, err)
		}
	}
	return &r.data, nil
}

func (r *reader) line(line string) error {
	fields := strings.Split(line, "\t")
	switch {
	case line == "", line[0] == '#':
	case fields[0] == "role" && len(fields) == 4:
		r.roles = append(r.roles, Role{fields[1], Level(fields[2]), split(fields[3])})
	case fields[0] == "set" && len(fields) == 2:
		r.sets = append(r.sets, fields[1])
	case fields[0] == "note" && len(fields) == 2:
		r.notes = append(r.notes, fields[1])
	case fields[0] != "" && len(fields) == 1:
		r.service, r.last = line, ""
	case len(fields) > 3 && fields[0] == "" && fields[1] == "" && r.last != "":
		return r.variant(fields[2], fields[3:])
	case len(fields) > 2 && fields[0] == "" && fields[1] != "" && r.service != "":
		n, err := r.need(fields[2:])
		if err != nil {
			return err
		}
		r.last = operation.Name(r.service + "/" + fields[1])
		r.needs[r.last] = n
	default:
		return fmt.Errorf("%q has a form that is not known", line)
	}
	return nil
}

// variant adds a case to the operation above it, from which it has what its own
// line does not tell.
func (r *reader) variant(when string, columns []string) error {
	n, err := r.need(columns)
	if err != nil {
		return err
	}
	of := r.needs[r.last]
	n.Basis, n.OrgContext, n.Unbound = of.Basis, of.OrgContext, of.Unbound
	of.Variants = append(of.Variants, Variant{when, n})
	r.needs[r.last] = of
	return nil
}

// need reads the columns: need, permissions, levels, flags, basis, set, note, check field.
func (r *reader) need(columns []string) (Need, error) {
	for len(columns) < 8 {
		columns = append(columns, "")
	}
	permissions, or, _ := strings.Cut(columns[1], "|")
	n := Need{Permissions: split(permissions), Or: split(or), CheckField: columns[7], NoRole: Refused}
	var ok bool
	if n.Kind, ok = kindOf(columns[0]); !ok {
		return Need{}, fmt.Errorf("%q is no need", columns[0])
	}
	if n.Basis, ok = basisOf(columns[4]); !ok {
		return Need{}, fmt.Errorf("%q is no basis", columns[4])
	}
	for _, letter := range columns[2] {
		level, ok := levelOf(letter)
		if !ok {
			return Need{}, fmt.Errorf("%q is no level", letter)
		}
		n.Levels = append(n.Levels, level)
	}
	for _, letter := range columns[3] {
		if !n.flag(letter) {
			return Need{}, fmt.Errorf("%q is no flag", letter)
		}
	}
	set, err := at(r.sets, columns[5])
	if err != nil {
		return Need{}, err
	}
	if n.Passed = split(set); columns[5] != "" && n.Passed == nil {
		n.Passed = []string{}
	}
	n.Note, err = at(r.notes, columns[6])
	return n, err
}

func kindOf(letter string) (Kind, bool) {
	switch letter {
	case "p":
		return Permission, true
	case "t":
		return Token, true
	case "n":
		return None, true
	case "v":
		return Depends, true
	}
	return "", false
}

// basisOf takes no letter as well: variants have the basis of their operation.
func basisOf(letter string) (Basis, bool) {
	switch letter {
	case "m":
		return Measured, true
	case "s":
		return Source, true
	case "d":
		return Declared, true
	}
	return "", letter == ""
}

func levelOf(letter rune) (Level, bool) {
	switch letter {
	case 's':
		return System, true
	case 'i':
		return Instance, true
	case 'o':
		return Organization, true
	case 'p':
		return Project, true
	case 'g':
		return ProjectGrant, true
	}
	return "", false
}

// flag sets what a letter stands for, and tells whether it stands for anything.
func (n *Need) flag(letter rune) bool {
	switch letter {
	case 's':
		n.Self = true
	case 'o':
		n.OrgContext = true
	case 't':
		n.Unbound = true
	case 'y':
		n.NoRole = Passes
	case 'w':
		n.NoRole = OwnOnly
	case 'i':
		n.NoRole = WithIntent
	case 'u':
		n.NoRole = NotTried
	default:
		return false
	}
	return true
}

// at is the numbered entry of list; "" for no number.
func at(list []string, number string) (string, error) {
	if number == "" {
		return "", nil
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(list) {
		return "", fmt.Errorf("%q is no number of an entry", number)
	}
	return list[i], nil
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
