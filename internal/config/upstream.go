package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) upstream(n ast.Node) Upstream {
	u := Upstream{Timeouts: defaultTimeouts(), MaxInFlight: DefaultMaxInFlight}
	unsafe := false
	var issuer ast.Node
	d.mapping(n, keys{
		"issuer":          func(n ast.Node) { u.Issuer, issuer = d.publicOrigin(n), n },
		"address":         func(n ast.Node) { u.Address = d.origin(n) },
		"ca_file":         func(n ast.Node) { u.CAFile = d.text(n) },
		"tls":             func(n ast.Node) { u.TLS = d.upstreamTLS(n) },
		"forward_headers": func(n ast.Node) { u.ForwardHeaders = d.forwardHeaders(n) },
		"hosts": func(n ast.Node) {
			if len(d.texts(n)) > 0 {
				d.wrong(n, "further instance domains are not supported yet", "leave it empty; run one zproxy for each domain")
			}
		},
		"limit":            func(n ast.Node) { u.Limit = d.limit(n) },
		"timeouts":         func(n ast.Node) { d.timeouts(n, &u.Timeouts) },
		"max_in_flight":    func(n ast.Node) { u.MaxInFlight = int(d.whole(n, 1, 1_000_000)) },
		"unsafe_plaintext": func(n ast.Node) { unsafe = d.boolean(n) },
	}, "issuer: https://acme.zitadel.cloud")
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

func (d *decoder) upstreamTLS(n ast.Node) *UpstreamTLS {
	t := new(UpstreamTLS)
	d.mapping(n, keys{
		"minimum_version": func(n ast.Node) {
			if t.MinimumVersion = d.text(n); t.MinimumVersion != "1.2" && t.MinimumVersion != "1.3" && t.MinimumVersion != "" {
				d.wrong(n, fmt.Sprintf("%q is no version of TLS that is accepted", t.MinimumVersion), `write "1.2" or "1.3"`)
			}
		},
		"certificate_file": func(n ast.Node) { t.CertificateFile = d.text(n) },
		"key_file":         func(n ast.Node) { t.KeyFile = d.text(n) },
	})
	if (t.CertificateFile == "") != (t.KeyFile == "") {
		d.wrong(n, "a certificate and its key belong together", "add both certificate_file and key_file, or neither")
	}
	return t
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
		d.wrong(n, fmt.Sprintf("%q is not an origin", masked(s)), "write scheme and host, and nothing after them: https://acme.zitadel.cloud")
		return nil
	}
	if strings.ToLower(u.Host) != u.Host || strings.HasSuffix(u.Hostname(), ".") {
		d.wrong(n, fmt.Sprintf("%q has capitals or ends in a dot, and ZITADEL would not find the instance", u.Host), "write the host in lower case")
	} else if !hostName(u.Hostname()) {
		d.wrong(n, fmt.Sprintf("%q is neither a host name nor an IP address", u.Hostname()), "write a name of letters, digits, '.' and '-'; others in their xn-- form")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
			d.wrong(n, fmt.Sprintf("%q is not a port", port), "write a number from 1 to 65535, or leave the ':' out as well")
		}
	}
	return u
}

// publicOrigin is an origin by which ZITADEL tells instances: it compares text,
// and spells no port that the scheme implies.
func (d *decoder) publicOrigin(n ast.Node) *url.URL {
	u := d.origin(n)
	if u != nil && (u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80") {
		d.wrong(n, "the port "+u.Port()+" is implied by "+u.Scheme+", and ZITADEL's issuer does not have it", "write "+u.Scheme+"://"+strings.TrimSuffix(u.Host, ":"+u.Port()))
	}
	return u
}

// hostName tells whether host can stand in a Host header. Names of containers
// have '_'.
func hostName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-._") == "" && !strings.HasPrefix(host, ".")
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
		"authorization", "proxy-*", "cookie", "cookie2", "set-cookie",
		"x-zitadel-*", "grpc-metadata-*", "grpcgateway-*", "host", "forwarded", "x-forwarded*", "x-real-ip", "x-original-*", "x-rewrite-*", "via",
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
