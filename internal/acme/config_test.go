package acme_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/acme"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	check(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestFaultsOfTheConfigurationAreNamed(t *testing.T) {
	text := write(t, "text", "no certificate, no key: !")
	empty := write(t, "empty", "\n")
	open := filepath.Join(t.TempDir(), "open")
	check(t, os.Mkdir(open, 0o700))
	check(t, os.Chmod(open, 0o770))
	world := filepath.Join(t.TempDir(), "world")
	check(t, os.Mkdir(world, 0o700))
	check(t, os.Chmod(world, 0o702))
	const private = "https://ca.internal/acme/directory"
	for _, f := range []struct {
		name  string
		spoil func(*acme.Config)
		want  string
	}{
		{"no host", func(c *acme.Config) { c.Hosts = nil }, "hosts is empty"},
		{"empty host", func(c *acme.Config) { c.Hosts = []string{""} }, "has 0 bytes"},
		{"long host", func(c *acme.Config) { c.Hosts = []string{strings.Repeat("a.", 127) + "com"} }, "has 257 bytes"},
		{"wildcard", func(c *acme.Config) { c.Hosts = []string{"*.example.com"} }, "is a wildcard"},
		{"inner star", func(c *acme.Config) { c.Hosts = []string{"a*.example.com"} }, "is no DNS name"},
		{"upper case", func(c *acme.Config) { c.Hosts = []string{"Zproxy.example.com"} }, "is no DNS name"},
		{"trailing dot", func(c *acme.Config) { c.Hosts = []string{"zproxy.example.com."} }, "is no DNS name"},
		{"port", func(c *acme.Config) { c.Hosts = []string{"zproxy.example.com:443"} }, "is no DNS name"},
		{"path", func(c *acme.Config) { c.Hosts = []string{"../zproxy"} }, "is no DNS name"},
		{"NUL", func(c *acme.Config) { c.Hosts = []string{"zproxy.example.com\x00.evil.com"} }, "is no DNS name"},
		{"international", func(c *acme.Config) { c.Hosts = []string{"bücher.example"} }, "is no DNS name"},
		{"hyphen first", func(c *acme.Config) { c.Hosts = []string{"-a.example.com"} }, "is no DNS name"},
		{"long label", func(c *acme.Config) { c.Hosts = []string{strings.Repeat("a", 64) + ".example.com"} }, "is no DNS name"},
		{"IPv4", func(c *acme.Config) { c.Hosts = []string{"192.0.2.1"} }, "is an address"},
		{"IPv6", func(c *acme.Config) { c.Hosts = []string{"2001:db8::1"} }, "is no DNS name"},
		{"twice", func(c *acme.Config) { c.Hosts = []string{host, host} }, "is named twice"},
		{"internal host at a public authority", func(c *acme.Config) { c.Directory, c.Hosts = "", []string{"localhost"} }, "public authority"},
		{"plain http", func(c *acme.Config) { c.Directory = "http://ca.internal/acme" }, "not the URL of an ACME directory"},
		{"no scheme", func(c *acme.Config) { c.Directory = "ca.internal/acme" }, "not the URL of an ACME directory"},
		{"no host in the URL", func(c *acme.Config) { c.Directory = "https:///acme" }, "not the URL of an ACME directory"},
		{"password in the URL", func(c *acme.Config) { c.Directory = "https://u:p@ca.internal/acme" }, "not the URL of an ACME directory"},
		{"email with a name", func(c *acme.Config) { c.Email = "Ops <ops@example.com>" }, "is no address"},
		{"email without domain", func(c *acme.Config) { c.Email = "ops" }, "is no address"},
		{"missing roots", func(c *acme.Config) { c.CAFile = "/nonexistent/root.pem" }, "reading ca_file"},
		{"roots without certificate", func(c *acme.Config) { c.CAFile = text }, "has no certificate"},
		{"empty roots", func(c *acme.Config) { c.CAFile = empty }, "has no certificate"},
		{"key id alone", func(c *acme.Config) { c.EABKeyID = "kid" }, "both its key id and its key file"},
		{"key file alone", func(c *acme.Config) { c.EABKeyFile = text }, "both its key id and its key file"},
		{"missing key file", func(c *acme.Config) { c.EABKeyID, c.EABKeyFile = "kid", "/nonexistent/mac" }, "reading the external account key"},
		{"key file of another form", func(c *acme.Config) { c.EABKeyID, c.EABKeyFile = "kid", text }, "is not base64url"},
		{"empty key file", func(c *acme.Config) { c.EABKeyID, c.EABKeyFile = "kid", empty }, "is not base64url"},
		{"no storage", func(c *acme.Config) { c.Storage = "" }, "storage is empty"},
		{"storage is a file", func(c *acme.Config) { c.Storage = text }, "is no directory"},
		{"storage of the group", func(c *acme.Config) { c.Storage = open }, "mode 0770"},
		{"storage of the world", func(c *acme.Config) { c.Storage = world }, "mode 0702"},
		{"storage below a file", func(c *acme.Config) { c.Storage = filepath.Join(text, "acme") }, "opening storage"},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := acme.Config{Hosts: []string{host}, Directory: private, Storage: filepath.Join(t.TempDir(), "acme")}
			f.spoil(&c)
			m, err := acme.New(c)
			if err == nil || m != nil || !strings.Contains(err.Error(), f.want) {
				t.Errorf("got %v, want %q", err, f.want)
			}
			if err != nil && strings.Contains(err.Error(), "no certificate, no key: !") {
				t.Errorf("the error shows a file's text: %v", err)
			}
		})
	}
}

func TestAStorageOfAnotherUserIsRefused(t *testing.T) {
	c := acme.Config{Hosts: []string{host}, Storage: filepath.Join(t.TempDir(), "acme")}
	check(t, os.Mkdir(c.Storage, 0o700))
	if err := os.Chown(c.Storage, 12345, -1); err != nil {
		t.Skipf("only root can make one: %v", err)
	}
	if _, err := acme.New(c); err == nil || !strings.Contains(err.Error(), "belongs to the user 12345") {
		t.Errorf("got %v", err)
	}
}

func TestTheManagerPrintsNoKey(t *testing.T) {
	const mac = "c2VjcmV0LWNhbmFyeS1jYW5hcnk"
	m := mustNew(t, acme.Config{
		Hosts: []string{host}, Storage: filepath.Join(t.TempDir(), "acme"),
		EABKeyID: "kid", EABKeyFile: write(t, "mac", mac+"\n"),
	})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if s := fmt.Sprintf(verb, m); strings.Contains(s, mac) || strings.Contains(s, fmt.Sprintf("%x", mac)) {
			t.Errorf("%s shows the key: %s", verb, s)
		}
	}
}

func TestAllFaultsAreNamedAtOnce(t *testing.T) {
	_, err := acme.New(acme.Config{Hosts: []string{"*.a.com", "B.com"}, Directory: "ftp://x", Email: "x", CAFile: "/nonexistent", EABKeyID: "k"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"*.a.com", "B.com", "ftp://x", "email", "ca_file", "external account", "storage is empty"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestLawfulConfigurationsPass(t *testing.T) {
	for _, c := range []acme.Config{
		{Hosts: []string{host}},
		{Hosts: []string{"xn--bcher-kva.example.org", "a.b.c.d.example.org"}, Email: "ops@example.com"},
		{Hosts: []string{"localhost", "zproxy", "3com.internal"}, Directory: "https://ca.internal:9000/acme/acme/directory"},
		{Hosts: []string{host}, EABKeyID: "kid", EABKeyFile: write(t, "mac", "c2VjcmV0LXNlY3JldC1zZQ==\n")},
	} {
		c.Storage = filepath.Join(t.TempDir(), "a", "b")
		if _, err := acme.New(c); err != nil {
			t.Errorf("%v: %v", c.Hosts, err)
		}
		info, err := os.Stat(c.Storage)
		check(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("the storage was made with mode %v", info.Mode().Perm())
		}
	}
}
