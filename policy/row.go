package policy

import (
	"encoding/binary"
)

// maxRules keeps positions within a cell's 16 bits.
const maxRules = 1<<16 - 2

// cell is what the rules of a caller say about one operation. Positions count
// from 1, so that the zero cell says: no rule.
type cell struct {
	allow  uint16 // first rule that allows
	shadow uint16 // first shadow rule that would
	near   uint16 // first rule that covers it but for a hazard or except
	except bool   // near is an except
}

// merge adds what other rules say: the first in file order wins.
func (c *cell) merge(d cell) {
	c.allow, c.shadow = first(c.allow, d.allow), first(c.shadow, d.shadow)
	if near := first(c.near, d.near); near != c.near {
		c.near, c.except = d.near, d.except
	}
}

func first(a, b uint16) uint16 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// row has a cell for each operation of the catalogue.
type row []cell

// shared makes the row of a set of rules once, however many callers have it.
func shared(rows map[string]row, rules []compiled, of []int, size int) row {
	key := make([]byte, 0, 2*len(of))
	for _, i := range of {
		key = binary.BigEndian.AppendUint16(key, uint16(i))
	}
	if r, ok := rows[string(key)]; ok {
		return r
	}
	r := make(row, size)
	for _, i := range of {
		for op := range r {
			r[op].merge(rules[i].cell(op, uint16(i+1)))
		}
	}
	rows[string(key)] = r
	return r
}

// cell is what one rule says. A shadow rule is never near: it decides nothing.
func (r *compiled) cell(op int, position uint16) cell {
	switch {
	case r.allows.has(op) && r.Shadow:
		return cell{shadow: position}
	case r.allows.has(op):
		return cell{allow: position}
	case r.Shadow:
		return cell{}
	case r.excepted.has(op):
		return cell{near: position, except: true}
	case r.hazardous.has(op):
		return cell{near: position}
	}
	return cell{}
}
