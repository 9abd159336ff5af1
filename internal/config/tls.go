package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// tls reads how a listener proves itself.
func (d *decoder) tls(n ast.Node) *TLS {
	t := new(TLS)
	before := len(d.faults)
	d.mapping(n, keys{
		"certificate_file": func(n ast.Node) { t.CertificateFile = d.text(n) },
		"key_file":         func(n ast.Node) { t.KeyFile = d.text(n) },
		"acme":             func(n ast.Node) { t.ACME = d.acme(n) },
		"spiffe":           func(n ast.Node) { t.SPIFFE = d.spiffe(n) },
	})
	files := t.CertificateFile != "" || t.KeyFile != ""
	switch {
	case len(d.faults) > before:
	case files && t.ACME != nil:
		d.misplaced("acme", "the certificate comes from files already", "keep one of the two")
	case t.SPIFFE != nil && (files || t.ACME != nil):
		d.misplaced("spiffe", "the certificate comes from elsewhere already", "keep one of the two")
	case !files && t.ACME == nil && t.SPIFFE == nil:
		d.wrong(n, "nothing says where the certificate comes from", "add certificate_file and key_file, acme, or spiffe")
	case files && (t.CertificateFile == "" || t.KeyFile == ""):
		d.wrong(n, "a certificate and its key belong together", "add both certificate_file and key_file")
	}
	return t
}

func (d *decoder) acme(n ast.Node) *ACME {
	a := new(ACME)
	d.mapping(n, keys{
		"hosts":     func(n ast.Node) { a.Hosts = d.someTexts(n) },
		"directory": func(n ast.Node) { a.Directory = d.text(n) },
		"ca_file":   func(n ast.Node) { a.CAFile = d.text(n) },
		"email":     func(n ast.Node) { a.Email = d.text(n) },
		"storage":   func(n ast.Node) { a.Storage = d.text(n) },
		"external_account": func(n ast.Node) {
			d.mapping(n, keys{
				"key_id":   func(n ast.Node) { a.EABKeyID = d.text(n) },
				"key_file": func(n ast.Node) { a.EABKeyFile = d.text(n) },
			}, "key_id: <the account at the authority>", "key_file: <the file of its MAC key>")
		},
	}, "hosts: [zproxy.acme.internal]", "storage: /var/lib/zproxy/acme")
	if a.Directory != "" && !strings.HasPrefix(a.Directory, "https://") {
		d.misplaced("directory", fmt.Sprintf("%q is no https URL", a.Directory), "write https://ca.acme.internal/acme/acme/directory")
	}
	return a
}

// spiffe reads where the agent is. Its answers hold a private key, so that no
// network may be in between.
func (d *decoder) spiffe(n ast.Node) *SPIFFE {
	s := new(SPIFFE)
	d.mapping(n, keys{
		"workload_api": func(n ast.Node) {
			s.WorkloadAPI = d.text(n)
			path, ok := strings.CutPrefix(s.WorkloadAPI, "unix://")
			if s.WorkloadAPI != "" && (!ok || path == "/" || !filepath.IsAbs(path) || path != filepath.Clean(path) || len(path) > 107 || strings.ContainsAny(path, "?#%")) {
				d.wrong(n, fmt.Sprintf("%q is not the unix socket of a SPIFFE agent", s.WorkloadAPI), "write unix:// and an absolute path of at most 107 bytes: unix:///run/spire/agent.sock")
			}
		},
	}, "workload_api: unix:///run/spire/agent.sock")
	return s
}

// authorities tells where the CAs of callers come from: a file, or the trust
// bundles of the Workload API, which vouch for SPIFFE IDs and nothing else.
func (d *decoder) authorities(l *listenerFile) {
	c := l.ClientCertificate
	const key = "callers.client_certificate"
	switch {
	case c.CAFile != "" || d.had(key+".ca_file"):
	case l.TLS == nil || l.TLS.SPIFFE == nil:
		d.misplaced(key, "client_certificate has no ca_file, and nobody's certificate could be verified", "add ca_file: /run/tls/workloads-ca.crt; with tls.spiffe alone trust bundles take its place")
	case !d.had(key + ".identity"):
		c.Identity = []string{"spiffe"}
	case slices.Contains(c.Identity, "dns"):
		d.misplaced(key+".identity", "the trust bundles of the SPIFFE Workload API vouch for no DNS names", "leave dns out, or name the CAs of callers with such names: ca_file: /run/tls/workloads-ca.crt")
	}
}

// clientCertificate reads how callers are told by certificates. Without identity
// both kinds count, or those that can.
func (d *decoder) clientCertificate(n ast.Node) *ClientCertificate {
	c := &ClientCertificate{Identity: []string{"spiffe", "dns"}}
	d.mapping(n, keys{
		"ca_file":  func(n ast.Node) { c.CAFile = d.text(n) },
		"crl_file": func(n ast.Node) { c.CRLFile = d.text(n) },
		"identity": func(n ast.Node) {
			c.Identity = d.someTexts(n)
			for i, kind := range c.Identity {
				if kind != "spiffe" && kind != "dns" {
					d.wrong(n, fmt.Sprintf("%q is no kind of name that counts", kind), "use spiffe, for the URI SAN, dns, for the DNS SAN, or both; the CN never counts")
				} else if slices.Index(c.Identity, kind) < i {
					d.wrong(n, kind+" is listed twice", "remove one")
				}
			}
		},
	})
	return c
}
