package config

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// JWTIssuer tells callers by the tokens of one issuer: they are jwt:<Name>/<sub>.
// Without JWKSURL and JWKSFile, of which at most one is set, the issuer says
// where its keys are. Files are read by authn/workload.
type JWTIssuer struct {
	Name             string
	Issuer, Audience string // compared with iss and aud byte for byte
	JWKSURL          string
	JWKSFile         string
	CAFile           string // "" is the system's CAs
	BearerTokenFile  string // shown to get the keys; "" is none
}

// bearerJWT reads {cluster: {issuer: …, audience: zproxy}}.
func (d *decoder) bearerJWT(n ast.Node) []JWTIssuer {
	var out []JWTIssuer
	d.entries(n, "names and issuers are needed here", "write cluster: {issuer: https://…, audience: zproxy}", func(key *ast.StringNode, name string, value ast.Node) {
		i := JWTIssuer{Name: name}
		var issuer ast.Node
		read := d.mapping(value, keys{
			"issuer":            func(n ast.Node) { i.Issuer, issuer = d.text(n), n },
			"audience":          func(n ast.Node) { i.Audience = d.text(n) },
			"jwks_url":          func(n ast.Node) { i.JWKSURL = d.https(n) },
			"jwks_file":         func(n ast.Node) { i.JWKSFile = d.text(n) },
			"ca_file":           func(n ast.Node) { i.CAFile = d.text(n) },
			"bearer_token_file": func(n ast.Node) { i.BearerTokenFile = d.text(n) },
		}, "issuer: https://kubernetes.default.svc.cluster.local", "audience: zproxy")
		if read {
			d.judgeIssuer(i, issuer)
		}
		for _, o := range out {
			if o.Issuer == i.Issuer && o.Issuer != "" {
				d.wrong(issuer, "it is the issuer "+o.Name+" already, and a token of it would have two callers", "give each issuer once in a listener; another audience needs a listener of its own")
			}
		}
		out = append(out, i)
	})
	return out
}

// judgeIssuer tells what the keys of one issuer are wrong about together.
func (d *decoder) judgeIssuer(i JWTIssuer, issuer ast.Node) {
	switch {
	case i.JWKSURL != "" && i.JWKSFile != "":
		d.misplaced("jwks_file", "jwks_url says already where the keys are", "keep one of the two")
	case i.JWKSFile != "" && i.CAFile != "":
		d.misplaced("ca_file", "ca_file is for keys that are fetched, and jwks_file is not", "remove it")
	case i.JWKSFile != "" && i.BearerTokenFile != "":
		d.misplaced("bearer_token_file", "bearer_token_file is for keys that are fetched, and jwks_file is not", "remove it")
	}
	if i.Issuer != "" && i.JWKSURL == "" && i.JWKSFile == "" {
		if u, err := url.Parse(i.Issuer); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			d.wrong(issuer, "it is no https address that could be asked for its keys", "write it as the tokens' iss has it, and add jwks_url or jwks_file")
		}
	}
}

// https reads an address of keys: whoever can change them on their way is every caller.
func (d *decoder) https(n ast.Node) string {
	s := d.text(n)
	if s == "" {
		return ""
	}
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		d.wrong(n, fmt.Sprintf("%q is no https address", masked(s)), "write https://, host and path: https://kubernetes.default.svc/openid/v1/jwks")
		return ""
	}
	return s
}

// entries reads a mapping from names, each once, to what read makes of the values.
func (d *decoder) entries(n ast.Node, message, fix string, read func(key *ast.StringNode, name string, value ast.Node)) {
	values, ok := mappingValues(n)
	if !ok {
		d.wrong(n, message+", not "+kind(n), fix)
		return
	}
	seen := make(map[string]bool)
	for _, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			d.fault(at(v.Key), d.named("a name must be plain text"), "quote it")
			continue
		}
		d.within("."+key.Value, at(key), func() {
			name := d.name(key)
			if seen[name] {
				d.fault(at(key), d.named("the name is given twice"), "keep one of them")
			}
			seen[name] = true
			read(key, name, v.Value)
		})
	}
}

// issuers finds names that would mean two issuers: rules and records know an
// issuer by its name alone.
func (c *Config) issuers(fault func(path, message, fix string)) {
	type place struct {
		listener string
		JWTIssuer
	}
	first := make(map[string]place)
	for n, l := range c.Listeners {
		for _, i := range l.BearerJWT {
			known, ok := first[i.Name]
			if !ok {
				first[i.Name] = place{l.Name, i}
				continue
			}
			if known.listener == l.Name { // told of already
				continue
			}
			if known.Issuer != i.Issuer || known.JWKSURL != i.JWKSURL || known.JWKSFile != i.JWKSFile {
				fault(fmt.Sprintf("listeners[%d].callers.bearer_jwt.%s", n, i.Name), "in listener "+known.listener+" the name stands for another issuer, or for other keys of it",
					"choose another name, or the same issuer, jwks_url and jwks_file")
			}
		}
	}
}

// HasIssuer tells whether some listener knows an issuer by that name.
func (c *Config) HasIssuer(name string) bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool {
		return slices.ContainsFunc(l.BearerJWT, func(i JWTIssuer) bool { return i.Name == name })
	})
}
