package config

import (
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Rotation says when zproxy replaces a key by itself (key rotate of
// private_key_jwt; all of its keys are optional).
type Rotation struct {
	Every        time.Duration // how old a key may become, default 720h
	BeforeExpiry time.Duration // or how near its end, default 168h
	Lifetime     time.Duration // of a new key, default 2160h
	Grace        time.Duration // how long a replaced key stays in ZITADEL, default 1h
}

// The defaults of rotations.
const (
	DefaultRotateEvery        = 30 * 24 * time.Hour
	DefaultRotateBeforeExpiry = 7 * 24 * time.Hour
	DefaultRotateLifetime     = 90 * 24 * time.Hour
	DefaultRotateGrace        = time.Hour
)

// longestSpan bounds lifetimes of keys: what is good for longer is forgotten.
const longestSpan = 5 * 366 * 24 * time.Hour

func (d *decoder) rotation(n ast.Node) *Rotation {
	r := &Rotation{Every: DefaultRotateEvery, BeforeExpiry: DefaultRotateBeforeExpiry, Lifetime: DefaultRotateLifetime, Grace: DefaultRotateGrace}
	before := len(d.faults)
	ok := d.mapping(n, keys{
		"every":         func(n ast.Node) { r.Every = d.span(n) },
		"before_expiry": func(n ast.Node) { r.BeforeExpiry = d.span(n) },
		"lifetime":      func(n ast.Node) { r.Lifetime = d.span(n) },
		"grace":         func(n ast.Node) { r.Grace = d.span(n) },
	})
	switch {
	case !ok || len(d.faults) > before:
	case r.BeforeExpiry >= r.Lifetime:
		d.wrong(n, "a new key would have to be replaced at once: before_expiry ("+r.BeforeExpiry.String()+") is no less than lifetime ("+r.Lifetime.String()+")", "make lifetime longer, or before_expiry shorter")
	case r.Grace >= r.Every:
		d.wrong(n, "replaced keys would pile up: grace ("+r.Grace.String()+") is no less than every ("+r.Every.String()+")", "make grace shorter, or every longer")
	}
	return r
}

// span reads "720h" or "1h30m", up to five years.
func (d *decoder) span(n ast.Node) time.Duration {
	if s, ok := n.(*ast.StringNode); ok {
		if v, err := time.ParseDuration(s.Value); err == nil && v > 0 && v <= longestSpan {
			return v
		}
	}
	d.wrong(n, "a duration is needed here, above nothing and up to five years", "write a number and its unit: 720h, 90m")
	return time.Hour
}
