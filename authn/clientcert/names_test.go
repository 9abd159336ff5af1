package clientcert_test

import (
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// named makes a row of a leaf that is good but for its names.
func named(name string, kinds []authn.Kind, detail string, all ...[]byte) fault {
	return fault{name: name, kinds: kinds, reason: clientcert.ReasonIdentity, detail: detail, make: leafOf(names(all...))}
}

func TestFaultsOfSPIFFEIDs(t *testing.T) {
	of := func(name, id, detail string) fault { return named(name, spiffe, detail, uri(id)) }
	refuseAll(t, []fault{
		of("scheme in upper case", "SPIFFE://acme.internal/crm", "no SPIFFE ID"),
		of("scheme in mixed case", "Spiffe://acme.internal/crm", "no SPIFFE ID"),
		of("trust domain in upper case", "spiffe://Acme.internal/crm", "trust domain"),
		{name: "trust domain with percent", reason: clientcert.ReasonMalformed, make: leafOf(names(uri("spiffe://acme%2einternal/crm")))},
		of("trust domain missing", "spiffe:///crm", "trust domain"),
		of("trust domain alone", "spiffe://acme.internal", "path is missing"),
		of("trust domain with slash", "spiffe://acme.internal/", "empty segment"),
		of("encoded letter", "spiffe://acme.internal/%63rm", "only letters"),
		of("encoded slash", "spiffe://acme.internal/ns%2Fcrm", "only letters"),
		of("encoded NUL", "spiffe://acme.internal/crm%00", "only letters"),
		of("port", "spiffe://acme.internal:443/crm", "trust domain"),
		of("user information", "spiffe://crm@acme.internal/crm", "trust domain"),
		of("query", "spiffe://acme.internal/crm?x=1", "only letters"),
		of("empty query", "spiffe://acme.internal/crm?", "only letters"),
		of("fragment", "spiffe://acme.internal/crm#x", "only letters"),
		of("empty fragment", "spiffe://acme.internal/crm#", "only letters"),
		of("empty segment", "spiffe://acme.internal//crm", "empty segment"),
		of("slash at the end", "spiffe://acme.internal/crm/", "empty segment"),
		of("dot segment", "spiffe://acme.internal/./crm", "another path"),
		of("dot dot segment", "spiffe://acme.internal/a/../crm", "another path"),
		of("star", "spiffe://acme.internal/*", "only letters"),
		of("space", "spiffe://acme.internal/c rm", "only letters"),
		of("too long", "spiffe://acme.internal/"+strings.Repeat("a", 2048), "2048"),
		of("no authority", "spiffe:acme.internal/crm", "no SPIFFE ID"),
		of("web address", "https://acme.internal/crm", "no SPIFFE ID"),
		of("caller of another kind", "dns:crm.acme.internal", "no SPIFFE ID"),
		of("caller of a unix socket", "unix:crm", "no SPIFFE ID"),
		of("anonymous caller", "anonymous:crm", "no SPIFFE ID"),
		of("relative", "crm", "no SPIFFE ID"),
		named("two", spiffe, "2 URI names", uri(crm), uri("spiffe://acme.internal/erp")),
		named("the same twice", spiffe, "2 URI names", uri(crm), uri(crm)),
		named("with a web address", spiffe, "2 URI names", uri(crm), uri("https://acme.internal/")),
		named("beside one spelt otherwise", spiffe, "2 URI names", uri(crm), uri("SPIFFE://acme.internal/crm")),
		named("two where hosts call", host, "2 URI names", uri(crm), uri("https://a/"), dns("crm.acme.internal")),
		named("two web addresses", spiffe, "2 names", uri("https://a/"), uri("https://b/")),
		named("only a host", spiffe, "none of the names", dns("crm.acme.internal")),
		named("no names at all", both, "none of the names"),
		named("in pieces", spiffe, "in pieces", general(6, true, string(uri(crm)))),
		{name: "not ASCII", reason: clientcert.ReasonMalformed, make: leafOf(names(uri("spiffe://acme.internal/crmé")))},
		{name: "NUL", reason: clientcert.ReasonMalformed, make: leafOf(names(uri("spiffe://acme.internal/crm\x00")))},
		{name: "common name only", kinds: both, reason: clientcert.ReasonIdentity, detail: "common name does not count", make: leafOf(noNames)},
	})
}

func TestFaultsOfHosts(t *testing.T) {
	of := func(name, id, detail string) fault { return named(name, host, detail, dns(id)) }
	refuseAll(t, []fault{
		of("upper case", "CRM.acme.internal", "only a-z"),
		of("wildcard", "*.acme.internal", "only a-z"),
		of("wildcard alone", "*", "only a-z"),
		of("NUL", "crm.acme.internal\x00.evil.com", "only a-z"),
		of("NUL at the end", "crm.acme.internal\x00", "only a-z"),
		of("dot at the end", "crm.acme.internal.", "empty label"),
		of("dot at the beginning", ".crm.acme.internal", "empty label"),
		of("two dots", "crm..internal", "empty label"),
		of("empty", "", "empty label"),
		of("address", "10.0.0.1", "as in an address"),
		of("IPv6 address", "fd00::1", "only a-z"),
		of("number", "167772161", "as in an address"),
		of("underscore", "crm_1.acme.internal", "only a-z"),
		of("hyphen first", "-crm.acme.internal", "'-'"),
		of("hyphen last", "crm-.acme.internal", "'-'"),
		of("label too long", strings.Repeat("a", 64)+".internal", "63"),
		of("too long", strings.Repeat("a.", 127)+"aa", "253"),
		of("space", "crm .acme.internal", "only a-z"),
		of("new line", "crm.acme.internal\n", "only a-z"),
		of("port", "crm.acme.internal:443", "only a-z"),
		of("slash", "crm.acme.internal/x", "only a-z"),
		named("two", host, "2 names", dns("crm.acme.internal"), dns("erp.acme.internal")),
		named("the same twice", host, "2 names", dns("crm.acme.internal"), dns("crm.acme.internal")),
		named("with a wildcard", host, "2 names", dns("crm.acme.internal"), dns("*.acme.internal")),
		named("only a SPIFFE ID", host, "none of the names", uri(crm)),
		named("only an address", host, "none of the names", general(7, false, "\x0a\x00\x00\x01")),
		named("only a mail address", both, "none of the names", general(1, false, "crm@acme.internal")),
		named("beside a SPIFFE ID", both, "2 names", uri(crm), dns("crm.acme.internal")),
		named("beside a web address", both, "2 names", uri("https://a/"), dns("crm.acme.internal")),
		{name: "not ASCII", kinds: host, reason: clientcert.ReasonMalformed, make: leafOf(names(dns("crm.acmé.internal")))},
	})
}
