package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// duration reads "30s" or "2m".
func (d *decoder) duration(n ast.Node) time.Duration {
	s, ok := n.(*ast.StringNode)
	if ok {
		if v, err := time.ParseDuration(s.Value); err == nil && v > 0 && v <= 24*time.Hour {
			return v
		}
	}
	d.wrong(n, "a duration is needed here, above nothing and up to 24h", "write a number and its unit: 30s, 2m")
	return time.Second
}

// instant reads a time of RFC 3339, "2026-12-01T00:00:00Z", or a date, which
// begins at midnight UTC.
func (d *decoder) instant(n ast.Node) time.Time {
	if s, ok := n.(*ast.StringNode); ok {
		for _, layout := range [...]string{time.RFC3339, time.DateOnly} {
			if v, err := time.Parse(layout, s.Value); err == nil {
				return v
			}
		}
	}
	d.wrong(n, "a time is needed here", "write it as RFC 3339 has it, 2026-12-01T00:00:00Z, or a date alone for midnight UTC")
	return time.Time{}
}

// size reads a number of bytes: 65536, "64KiB", "4MiB".
func (d *decoder) size(n ast.Node, least, most int64) int64 {
	var v int64 = -1
	switch n := n.(type) {
	case *ast.IntegerNode:
		if i, ok := n.Value.(uint64); ok && i <= uint64(most) {
			v = int64(i)
		}
	case *ast.StringNode:
		for unit, shift := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
			if number, ok := strings.CutSuffix(n.Value, unit); ok {
				if i, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32); err == nil && i >= 0 {
					v = i << shift
				}
			}
		}
	}
	if v < least || v > most {
		d.wrong(n, fmt.Sprintf("a size from %s to %s is needed here", inBytes(least), inBytes(most)), "write bytes, or a number with KiB, MiB or GiB")
		return least
	}
	return v
}

func inBytes(n int64) string {
	for _, u := range []struct {
		shift int
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<u.shift && n%(1<<u.shift) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// limit reads {rate: 45/s, burst: 90}. Without burst, one second's worth.
func (d *decoder) limit(n ast.Node) *Limit {
	l := new(Limit)
	d.mapping(n, keys{
		"rate":  func(n ast.Node) { l.Rate = d.rate(n) },
		"burst": func(n ast.Node) { l.Burst = int(d.whole(n, 1, 1_000_000)) },
	}, "rate: 45/s")
	if l.Burst == 0 {
		l.Burst = max(1, int(l.Rate))
	}
	return l
}

// rate reads "45/s", "100/m" or "1000/h" as requests a second.
func (d *decoder) rate(n ast.Node) float64 {
	if s, ok := n.(*ast.StringNode); ok {
		count, unit, _ := strings.Cut(s.Value, "/")
		if strings.Trim(count, "0123456789.") != "" { // ParseFloat takes 0x1p4, 1e3 and inf
			count = ""
		}
		per := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
		if v, err := strconv.ParseFloat(count, 64); err == nil && per > 0 && v > 0 && v <= 1e6 {
			return v / per
		}
	}
	d.wrong(n, "a rate is needed here", "write requests per second, minute or hour: 45/s, 100/m, 1000/h")
	return 1
}

// name reads a name that appears in records and rules.
func (d *decoder) name(n ast.Node) string {
	s := d.text(n)
	if s == "" {
		return ""
	}
	if len(s) > 63 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		d.wrong(n, fmt.Sprintf("%q is not a name", s), "use up to 63 of a-z, 0-9, '.', '_' and '-'")
	}
	return s
}
