package config

import (
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Timeouts bound what is waited for on the way to the upstream (key
// upstream.timeouts, all optional).
type Timeouts struct {
	Connect        time.Duration // name, connection and handshake together, default 5s
	ResponseHeader time.Duration // until the answer begins, default 1m
	Idle           time.Duration // an unused connection is kept for, default 30s
	ConnectionAge  time.Duration // after which requests go over a new connection, default 5m
	Deadline       time.Duration // the longest that a caller's own deadline is taken for, default 10m
}

// DefaultMaxInFlight is upstream.max_in_flight where the file does not say.
const DefaultMaxInFlight = 1000

func defaultTimeouts() Timeouts {
	return Timeouts{Connect: 5 * time.Second, ResponseHeader: time.Minute, Idle: 30 * time.Second, ConnectionAge: 5 * time.Minute, Deadline: 10 * time.Minute}
}

func (d *decoder) timeouts(n ast.Node, t *Timeouts) {
	d.mapping(n, keys{
		"connect":         func(n ast.Node) { t.Connect = d.duration(n) },
		"response_header": func(n ast.Node) { t.ResponseHeader = d.duration(n) },
		"idle":            func(n ast.Node) { t.Idle = d.duration(n) },
		"connection_age":  func(n ast.Node) { t.ConnectionAge = d.duration(n) },
		"deadline":        func(n ast.Node) { t.Deadline = d.duration(n) },
	})
}
