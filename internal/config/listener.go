package config

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// listenerFile is a listener as the file has it, before its keys are judged together.
type listenerFile struct {
	Listener
	at      ast.Node // the address
	where   netip.Addr
	unsafe  bool
	badFrom bool // allow_from has a fault already
	mode    bool
}

func (d *decoder) listener(n ast.Node) Listener {
	var l listenerFile
	ok := d.mapping(n, keys{
		"name":             func(n ast.Node) { l.Name = d.name(n) },
		"address":          func(n ast.Node) { d.address(n, &l) },
		"mode":             func(n ast.Node) { l.Mode, l.mode = d.mode(n), true },
		"unsafe_plaintext": func(n ast.Node) { l.unsafe = d.boolean(n) },
		"allow_from": func(n ast.Node) {
			before := len(d.faults)
			l.AllowFrom = d.prefixes(n)
			l.badFrom = len(d.faults) > before
		},
		"hosts":   func(n ast.Node) { l.Hosts = d.hosts(n) },
		"tls":     func(n ast.Node) { l.TLS = d.tls(n) },
		"callers": func(n ast.Node) { d.callers(n, &l) },
	}, "name: <what records call it>", "address: 127.0.0.1:8080", "callers: {anonymous: <name>}")
	if ok {
		d.judge(&l)
	}
	return l.Listener
}

// judge tells what the keys of one listener are wrong about together.
func (d *decoder) judge(l *listenerFile) {
	unix := l.Network == "unix"
	if l.at != nil && l.Network == "tcp" && l.ClientCertificate == nil && l.where.IsValid() && !l.where.IsLoopback() {
		switch {
		case l.TLS == nil && !l.unsafe && len(l.BearerJWT) > 0:
			d.wrong(l.at, "the listener is plain and open beyond loopback: tokens would cross the network in clear, and whoever reads one is its caller", "add tls, listen on 127.0.0.1 or a unix socket, or say unsafe_plaintext: true")
		case len(l.BearerJWT) > 0:
		case l.TLS == nil && !l.unsafe:
			d.wrong(l.at, "the listener is plain and open beyond loopback: whoever reaches it is its caller", "listen on 127.0.0.1 or a unix socket, tell callers by tls and client_certificate, or say unsafe_plaintext: true with allow_from")
		case len(l.AllowFrom) == 0 && !l.badFrom:
			d.wrong(l.at, "a listener beyond loopback that asks for no certificate needs allow_from", "name the source networks: allow_from: [10.1.0.0/16]")
		}
	}
	if l.ClientCertificate != nil && l.TLS != nil {
		d.authorities(l)
	}
	switch {
	case l.ClientCertificate != nil && l.TLS == nil:
		d.misplaced("callers.client_certificate", "client certificates come with TLS only", "add tls: {certificate_file: …, key_file: …}")
	case l.ClientCertificate != nil && len(l.AllowFrom) > 0:
		d.misplaced("allow_from", "allow_from is for callers without a certificate", "remove it; certificates tell the callers")
	case l.ClientCertificate != nil && len(l.Hosts) > 0:
		d.misplaced("hosts", "hosts is for callers without a certificate", "remove it; certificates tell the callers")
	case len(l.BearerJWT) > 0 && len(l.Hosts) > 0:
		d.misplaced("hosts", "hosts is for callers without a proof of their own", "remove it; tokens tell the callers")
	case unix && l.TLS != nil:
		d.misplaced("tls", "a unix socket has no TLS", "remove it; the kernel tells the callers")
	case l.TLS != nil && l.unsafe:
		d.misplaced("unsafe_plaintext", "the listener has TLS and is not plain", "remove unsafe_plaintext")
	}
	if unix && len(l.AllowFrom) > 0 {
		d.misplaced("allow_from", "allow_from has no meaning on a unix socket", "tell its callers by uid or gid, or set mode")
	}
	if unix && len(l.Hosts) > 0 {
		d.misplaced("hosts", "hosts has no meaning on a unix socket", "remove it")
	}
	if l.Network == "tcp" && l.mode {
		d.misplaced("mode", "mode is of unix sockets only", "remove it")
	}
	if l.Network == "tcp" && len(l.Unix) > 0 {
		d.misplaced("callers.unix", "callers can be told by uid and gid on a unix socket only", "give the address as unix:/path, or name one anonymous caller")
	}
	if unix && !l.mode {
		l.Mode = 0o600
	}
}

// address reads host:port or unix:/path.
func (d *decoder) address(n ast.Node, l *listenerFile) {
	s := d.text(n)
	l.at = n
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		l.Network, l.Address = "unix", path
		if !filepath.IsAbs(path) || len(path) > 107 { // sun_path, unix(7)
			d.wrong(n, fmt.Sprintf("%q is not the path of a unix socket", path), "write an absolute path of at most 107 bytes: unix:/run/zproxy/zproxy.sock")
		}
		return
	}
	if s != "" {
		l.Network, l.Address = "tcp", s
		l.where, _ = d.hostPort(n, s)
	}
}

// mode reads permission bits in octal, quoted: YAML reads 0660 in two ways.
func (d *decoder) mode(n ast.Node) fs.FileMode {
	if s, ok := n.(*ast.StringNode); ok {
		if v, err := strconv.ParseUint(s.Value, 8, 32); err == nil && v <= 0o777 && v > 0 {
			return fs.FileMode(v)
		}
	}
	d.wrong(n, "permission bits are needed here", `write them in octal and quoted: "0660"`)
	return 0
}

func (d *decoder) prefixes(n ast.Node) []netip.Prefix {
	var out []netip.Prefix
	d.sequence(n, func(n ast.Node) {
		s := d.text(n)
		p, err := netip.ParsePrefix(s)
		switch {
		case s == "":
		case err != nil:
			d.wrong(n, fmt.Sprintf("%q is not a network", s), "write 10.1.0.0/16, or 10.1.0.7/32 for one address")
		case p.Addr().Is4In6():
			d.wrong(n, fmt.Sprintf("%q is an IPv4 network in IPv6's clothes, and matches nobody", s), "write it as IPv4: 10.1.0.0/16")
		case p.Masked() != p:
			d.wrong(n, fmt.Sprintf("%q has bits beyond its length", s), "write "+p.Masked().String())
		default:
			out = append(out, p)
		}
	})
	return out
}

// hosts reads names that callers may use in Host.
func (d *decoder) hosts(n ast.Node) []string {
	var out []string
	d.sequence(n, func(n ast.Node) {
		s := d.text(n)
		if s == "" {
			return
		}
		_, err := netip.ParseAddr(s)
		if err != nil && (strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.HasSuffix(s, ".") || strings.HasPrefix(s, ".") || len(s) > 253) {
			d.wrong(n, fmt.Sprintf("%q is not a host name", s), "write it in lower case, without port, pattern or trailing dot")
			return
		}
		out = append(out, s)
	})
	return out
}

func (d *decoder) callers(n ast.Node, l *listenerFile) {
	before := len(d.faults)
	d.mapping(n, keys{
		"anonymous":          func(n ast.Node) { l.Anonymous = d.name(n) },
		"unix":               func(n ast.Node) { l.Unix = d.unixCallers(n) },
		"client_certificate": func(n ast.Node) { l.ClientCertificate = d.clientCertificate(n) },
		"bearer_jwt":         func(n ast.Node) { l.BearerJWT = d.bearerJWT(n) },
	})
	ways := 0
	for _, given := range [...]bool{l.Anonymous != "", len(l.Unix) > 0, l.ClientCertificate != nil, len(l.BearerJWT) > 0} {
		if given {
			ways++
		}
	}
	if len(d.faults) == before && ways != 1 {
		d.wrong(n, "exactly one way to tell callers is needed", "anonymous: <name>, unix: with at least one caller, client_certificate: {ca_file: …}, or bearer_jwt: with at least one issuer; for two ways, use two listeners")
	}
}

// unixCallers reads {crm: {uid: 1001}}.
func (d *decoder) unixCallers(n ast.Node) []UnixCaller {
	var out []UnixCaller
	d.entries(n, "names and ids are needed here", "write crm: {uid: 1001}", func(key *ast.StringNode, name string, value ast.Node) {
		c := UnixCaller{Name: name}
		d.mapping(value, keys{
			"uid": func(n ast.Node) { id := uint32(d.whole(n, 0, 1<<32-2)); c.UID = &id },
			"gid": func(n ast.Node) { id := uint32(d.whole(n, 0, 1<<32-2)); c.GID = &id },
		})
		if (c.UID == nil) == (c.GID == nil) {
			d.fault(at(key), d.named("exactly one of uid and gid is needed"), "write {uid: 1001} or {gid: 2000}")
		}
		for _, o := range out {
			if sameID(o.UID, c.UID) || sameID(o.GID, c.GID) {
				d.fault(at(key), d.named("the caller "+o.Name+" has this id already, and would always come first"), "give each caller an id of its own")
			}
		}
		out = append(out, c)
	})
	return out
}

func sameID(a, b *uint32) bool { return a != nil && b != nil && *a == *b }
