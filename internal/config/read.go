package config

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// The defaults of limits.
const (
	DefaultHeaderBytes = 64 << 10
	DefaultBodyBytes   = 32 << 20
	DefaultInspectBody = 4 << 20
	DefaultInspectAll  = 32 << 20
	DefaultConnections = 10_000
	DefaultPerAddress  = 1_000
	DefaultPerCaller   = 1_000
	DefaultStall       = time.Minute
	DefaultDrain       = 30 * time.Second
)

// maxFile bounds what is read; a configuration of a thousand rules has a tenth of it.
const maxFile = 8 << 20

// Load reads and checks a configuration file. The error is [Faults] when the
// file can be read: everything that is wrong with it.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// LoadRules reads a configuration of which only the rules matter, such as the
// ceiling that others must stay under: it may have everything that one for
// [Load] has, and needs rules only.
func LoadRules(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, data, "rules: and at least one under it; configs/ has examples")
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("reading configuration %s: it has %d bytes, %d are the most", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	return data, nil
}

// Parse checks a configuration that was read from what name says. The error
// is [Faults].
func Parse(name string, data []byte) (*Config, error) {
	return parse(name, data,
		"version: 1", "upstream: {issuer: https://acme.zitadel.cloud}",
		`listeners: [{name: local, address: "127.0.0.1:8080", callers: {anonymous: local}}]`,
		"rules: and at least one under it; configs/ has examples",
		"audit: {file: /var/log/zproxy/audit.jsonl}")
}

func parse(name string, data []byte, required ...string) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark, which editors of Windows write
	d := newDecoder(name, data)
	c := &Config{Confine: true, Limits: Limits{
		HeaderBytes: DefaultHeaderBytes, BodyBytes: DefaultBodyBytes, InspectBody: DefaultInspectBody, InspectAll: DefaultInspectAll,
		Connections: DefaultConnections, PerAddress: DefaultPerAddress, PerCaller: DefaultPerCaller, Stall: DefaultStall, Drain: DefaultDrain,
	}}
	usersRead := true
	if root := d.parse(data); root != nil {
		usersRead = d.root(root, c, required) && (len(c.ServiceUsers) > 0 || len(required) > 1)
	}
	c.file, c.lines, c.positions = d.file, d.lines, d.positions
	d.faults = append(d.faults, c.references(usersRead)...)
	if len(d.faults) > 0 {
		return nil, d.faults.inOrder()
	}
	return c, nil
}

// root reads the whole file, and reports whether the names of all service users
// are known: otherwise nothing can be said about references to them.
func (d *decoder) root(n ast.Node, c *Config, required []string) (usersRead bool) {
	usersRead = true
	d.mapping(n, keys{
		"version": func(n ast.Node) {
			if i, ok := n.(*ast.IntegerNode); !ok || i.Value != uint64(1) {
				d.wrong(n, "this build reads version 1 only", "write version: 1")
			}
		},
		"upstream": func(n ast.Node) { c.Upstream = d.upstream(n) },
		"listeners": func(n ast.Node) {
			if d.sequence(n, func(n ast.Node) { c.Listeners = append(c.Listeners, d.listener(n)) }) && len(c.Listeners) == 0 {
				d.wrong(n, "there is none, so nobody could call", "add one: {name: local, address: 127.0.0.1:8080, callers: {anonymous: local}}")
			}
		},
		"service_users": func(n ast.Node) {
			usersRead = d.sequence(n, func(n ast.Node) { c.ServiceUsers = append(c.ServiceUsers, d.serviceUser(n)) })
		},
		"unlisted_operations": func(n ast.Node) { c.Unlisted = d.texts(n) },
		"rules": func(n ast.Node) {
			if d.sequence(n, func(n ast.Node) { c.Rules = append(c.Rules, d.rule(n)) }) && len(c.Rules) == 0 {
				d.wrong(n, "there is none, and nothing is allowed but by a rule", "add one; configs/ has examples")
			}
		},
		"tests":   func(n ast.Node) { c.Tests = d.tests(n) },
		"audit":   func(n ast.Node) { c.Audit = d.audit(n) },
		"admin":   func(n ast.Node) { c.Admin = d.admin(n) },
		"limits":  func(n ast.Node) { d.limits(n, &c.Limits) },
		"hints":   func(n ast.Node) { c.Hints = d.boolean(n) },
		"confine": func(n ast.Node) { c.Confine = d.boolean(n) },
	}, required...)
	return usersRead && !slices.ContainsFunc(c.ServiceUsers, func(u ServiceUser) bool { return u.Name == "" })
}

func (d *decoder) audit(n ast.Node) Audit {
	var a Audit
	d.mapping(n, keys{"file": func(n ast.Node) { a.File = d.text(n) }}, "file: /var/log/zproxy/audit.jsonl, or - for standard output")
	return a
}

func (d *decoder) admin(n ast.Node) *Admin {
	a := new(Admin)
	unsafe := false
	var where, profiles ast.Node
	d.mapping(n, keys{
		"address":          func(n ast.Node) { a.Address, where = d.text(n), n },
		"unsafe_plaintext": func(n ast.Node) { unsafe = d.boolean(n) },
		"hosts":            func(n ast.Node) { a.Hosts = d.hosts(n) },
		"pprof":            func(n ast.Node) { a.PProf, profiles = d.boolean(n), n },
	}, "address: 127.0.0.1:9090")
	if a.Address != "" {
		ip, ok := d.hostPort(where, a.Address)
		switch {
		case !ok || ip.IsLoopback():
		case a.PProf:
			d.wrong(profiles, "profiles are for loopback only", "remove pprof, or listen on 127.0.0.1")
		case !unsafe:
			d.wrong(where, "the admin listener has no protection of its own and is open beyond loopback", "listen on 127.0.0.1, or say unsafe_plaintext: true beside the address")
		}
	}
	return a
}

func (d *decoder) limits(n ast.Node, l *Limits) {
	d.mapping(n, keys{
		"header_bytes":            func(n ast.Node) { l.HeaderBytes = int(d.size(n, 1<<10, 1<<20)) },
		"body_bytes":              func(n ast.Node) { l.BodyBytes = d.size(n, 1<<10, 1<<40) },
		"inspect_body_bytes":      func(n ast.Node) { l.InspectBody = d.size(n, 1<<10, 1<<30) },
		"inspect_total_bytes":     func(n ast.Node) { l.InspectAll = d.size(n, 1<<20, 1<<40) },
		"connections":             func(n ast.Node) { l.Connections = int(d.whole(n, 1, 1_000_000)) },
		"connections_per_address": func(n ast.Node) { l.PerAddress = int(d.whole(n, 1, 1_000_000)) },
		"connections_per_caller":  func(n ast.Node) { l.PerCaller = int(d.whole(n, 1, 1_000_000)) },
		"stall":                   func(n ast.Node) { l.Stall = d.duration(n) },
		"drain":                   func(n ast.Node) { l.Drain = d.duration(n) },
		"drain_delay":             func(n ast.Node) { l.DrainDelay = d.duration(n) },
	})
}

// hostPort checks an IP address with a port. The unspecified addresses count as
// beyond loopback.
func (d *decoder) hostPort(n ast.Node, s string) (netip.Addr, bool) {
	host, _, err := net.SplitHostPort(s)
	if err == nil {
		var a netip.AddrPort
		if a, err = netip.ParseAddrPort(s); err == nil {
			return a.Addr(), true
		}
		if host == "localhost" {
			d.wrong(n, "localhost is a name and can mean two addresses", "write 127.0.0.1 or [::1]")
			return netip.Addr{}, false
		}
	}
	d.wrong(n, fmt.Sprintf("%q is not an IP address with a port", s), "write 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080")
	return netip.Addr{}, false
}
