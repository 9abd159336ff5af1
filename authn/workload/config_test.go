package workload_test

import (
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
)

func TestFaultyConfigurationsAreRefused(t *testing.T) {
	dir := t.TempDir()
	keys, bad := write(t, dir+"/jwks.json", jwks("p256")), write(t, dir+"/bad", "{")
	two := write(t, dir+"/two", "a b")
	huge := write(t, dir+"/huge", strings.Repeat("a", 2<<20))
	for name, test := range map[string]struct {
		change func(*workload.Config)
		want   string
	}{
		"no name":                  {func(c *workload.Config) { c.Name = "" }, "its name is empty"},
		"a name with capitals":     {func(c *workload.Config) { c.Name = "Cluster" }, "only a-z"},
		"no issuer":                {func(c *workload.Config) { c.Issuer = "" }, "issuer has 0 bytes"},
		"no audience":              {func(c *workload.Config) { c.Audience = "" }, "audience has 0 bytes"},
		"an issuer in clear":       {func(c *workload.Config) { c.Issuer = "http://a" }, "its scheme is not https"},
		"an issuer that is a name": {func(c *workload.Config) { c.Issuer = "kubernetes/serviceaccount" }, "or set jwks_url or jwks_file"},
		"an issuer with a query":   {func(c *workload.Config) { c.Issuer += "?a=b" }, "it has a query"},
		"an issuer with a user":    {func(c *workload.Config) { c.Issuer = "https://u:hunter2@a" }, "user information"},
		"keys in clear":            {func(c *workload.Config) { c.JWKSURL = "http://a/jwks" }, "its scheme is not https"},
		"keys without a host":      {func(c *workload.Config) { c.JWKSURL = "https:///jwks" }, "it has no host"},
		"keys with a fragment":     {func(c *workload.Config) { c.JWKSURL = "https://a/jwks#b" }, "it has a fragment"},
		"keys nowhere":             {func(c *workload.Config) { c.JWKSURL = "https://a\x7f/jwks" }, "it is no address"},
		"two ways to the keys":     {func(c *workload.Config) { c.JWKSURL, c.JWKSFile = "https://a/jwks", keys }, "both set"},
		"a CA for a file":          {func(c *workload.Config) { c.JWKSFile, c.CAFile = keys, keys }, "no meaning with jwks_file"},
		"a token for a file":       {func(c *workload.Config) { c.JWKSFile, c.BearerTokenFile = keys, keys }, "no meaning with jwks_file"},
		"a CA that is not there":   {func(c *workload.Config) { c.CAFile = dir + "/absent" }, "no such file"},
		"a CA that is none":        {func(c *workload.Config) { c.CAFile = bad }, "no PEM certificate"},
		"a CA that is a folder":    {func(c *workload.Config) { c.CAFile = dir }, "no regular file"},
		"no token":                 {func(c *workload.Config) { c.BearerTokenFile = dir + "/absent" }, "no such file"},
		"two tokens":               {func(c *workload.Config) { c.BearerTokenFile = two }, "write the token alone"},
		"a huge token":             {func(c *workload.Config) { c.BearerTokenFile = huge }, "larger than 16 KiB"},
		"keys that are not there":  {func(c *workload.Config) { c.JWKSFile = dir + "/absent" }, "no such file"},
		"keys that are none":       {func(c *workload.Config) { c.JWKSFile = bad }, "is it a JWKS?"},
		"huge keys":                {func(c *workload.Config) { c.JWKSFile = huge }, "larger than 1024 KiB"},
	} {
		c := workload.Config{Name: "cluster", Issuer: cluster, Audience: audience}
		test.change(&c)
		i, err := workload.New(c)
		if i != nil || err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := workload.NewCallers(authn.Sources{}); err == nil {
		t.Error("callers without an issuer")
	}
	one := issuer(t, nil)
	for name, change := range map[string]func(*workload.Config){
		"the same name": func(c *workload.Config) { c.Issuer = "https://b" }, "the same issuer": func(c *workload.Config) { c.Name = "b" },
	} {
		if _, err := workload.NewCallers(authn.Sources{}, one, issuer(t, change)); err == nil {
			t.Error(name)
		}
	}
}
