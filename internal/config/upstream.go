package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) upstream(n ast.Node) Upstream {
	var u Upstream
	unsafe := false
	var issuer ast.Node
	d.mapping(n, keys{
		"issuer":          func(n ast.Node) { u.Issuer, issuer = d.origin(n), n },
		"address":         func(n ast.Node) { u.Address = d.origin(n) },
		"ca_file":         func(n ast.Node) { u.CAFile = d.text(n) },
		"forward_headers": func(n ast.Node) { u.ForwardHeaders = d.forwardHeaders(n) },
		"hosts": func(n ast.Node) {
			if len(d.texts(n)) > 0 {
				d.wrong(n, "further instance domains are not supported yet", "leave it empty; run one zproxy for each domain")
			}
		},
		"limit":            func(n ast.Node) { u.Limit = d.limit(n) },
		"unsafe_plaintext": func(n ast.Node) { unsafe = d.boolean(n) },
	}, "issuer")
	if u.Issuer == nil {
		return u
	}
	to := u.Issuer
	if u.Address != nil {
		to = u.Address
	}
	if to == u.Issuer && to.Scheme == "http" && !loopback(to.Hostname()) && !unsafe {
		d.wrong(issuer, "tokens would cross the network in clear", "use https, give the inner address under address, or say unsafe_plaintext: true under upstream")
	}
	return u
}

// loopback tells whether a host can only be this machine.
func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// origin reads scheme, host and port, and nothing else.
func (d *decoder) origin(n ast.Node) *url.URL {
	s := d.text(n)
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Hostname() == "" || u.User != nil ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "#") {
		d.wrong(n, fmt.Sprintf("%q is not an origin", s), "write scheme and host, and nothing after them: https://acme.zitadel.cloud")
		return nil
	}
	if strings.ToLower(u.Host) != u.Host || strings.HasSuffix(u.Hostname(), ".") {
		d.wrong(n, fmt.Sprintf("%q has capitals or ends in a dot, and ZITADEL would not find the instance", u.Host), "write the host in lower case")
	}
	return u
}

// forwardHeaders reads headers that pass besides the built-in ones. What carries
// credentials, chooses the tenant or frames the message can never be one.
func (d *decoder) forwardHeaders(n ast.Node) []string {
	var out []string
	d.sequence(n, func(n ast.Node) {
		s := strings.ToLower(d.text(n))
		name, prefix := strings.CutSuffix(s, "*")
		switch {
		case s == "":
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name == "":
			d.wrong(n, fmt.Sprintf("%q is neither a header's name nor a beginning with '*' at its end", s), "write x-request-id or x-b3-*")
		default:
			if reserved := reservedHeader(name, prefix); reserved != "" {
				d.wrong(n, fmt.Sprintf("%q would pass %s, which carries a credential, chooses the tenant or frames the message", s, reserved), "name other headers, or a longer beginning")
			}
			out = append(out, s)
		}
	})
	return out
}

// reservedHeader is a header that must not pass and that name, or every name
// that begins with it, covers; "" for none.
func reservedHeader(name string, prefix bool) string {
	for _, r := range []string{
		"authorization", "proxy-authorization", "proxy-authenticate", "proxy-connection", "cookie", "cookie2", "set-cookie",
		"x-zitadel-*", "grpc-metadata-*", "grpcgateway-*", "host", "forwarded", "x-forwarded-*", "x-real-ip", "x-original-*", "x-rewrite-*", "via",
		"connection", "keep-alive", "upgrade", "http2-settings", "te", "trailer", "transfer-encoding", "content-length", "content-type", "content-encoding",
		"expect", "origin", "sec-*", "access-control-*", "x-http-method*", "x-method-override", "zproxy-*",
	} {
		base, open := strings.CutSuffix(r, "*")
		switch {
		case name == base && !open, open && strings.HasPrefix(name, base), prefix && strings.HasPrefix(base, name):
			return r
		}
	}
	return ""
}
