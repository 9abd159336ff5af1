package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/zproxy/zproxy/internal/sandbox"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// composed plays the services of docker-compose.yml one after another as docker
// compose would, with the sandbox as ZITADEL: their own commands and values,
// with paths and addresses of this machine.
type composed struct {
	zitadel  *sandbox.Sandbox
	dir      string
	values   *strings.Replacer
	ports    map[string]string // by the address that callers use
	services map[string]service
}

type service struct {
	Command     []string
	Environment map[string]any
}

func newComposed(t *testing.T) *composed {
	t.Helper()
	c := &composed{dir: t.TempDir(), ports: make(map[string]string)}
	text, err := os.ReadFile("../../docker-compose.yml")
	check(t, err)
	var file struct{ Services map[string]service }
	check(t, yaml.Unmarshal(text, &file))
	c.services = file.Services
	c.zitadel, err = sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, c.zitadel.Close()) })
	issuer := c.zitadel.Issuer().String()
	pairs := []string{
		"/var/lib/zproxy", c.dir, "/zproxy/", c.dir + "/", "/administrator/", c.dir + "/administrator.", "/etc/zproxy/", c.dir + "/",
		"http://localhost:8080", issuer, "http://zitadel:8080", issuer, "172.30.81.0/24", "127.0.0.0/8",
	}
	for _, port := range []string{"8443", "8081", "9090"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		c.ports["zproxy:"+port] = l.Addr().String()
		check(t, l.Close())
		pairs = append(pairs, "0.0.0.0:"+port, c.ports["zproxy:"+port])
	}
	c.values = strings.NewReplacer(pairs...)
	cfg, err := os.ReadFile("../../configs/compose/zproxy.yaml")
	check(t, err)
	check(t, os.WriteFile(filepath.Join(c.dir, "zproxy.yaml"), []byte(c.values.Replace(string(cfg))), 0o600))
	return c
}

func (c *composed) command(t *testing.T, service string) []string {
	t.Helper()
	var args []string
	for _, a := range c.services[service].Command {
		args = append(args, c.values.Replace(a))
	}
	if len(args) == 0 {
		t.Fatalf("service %s has no command", service)
	}
	return args
}

// once runs a service that ends.
func (c *composed) once(t *testing.T, service string) string {
	t.Helper()
	out, err := exec.Command("zproxy", c.command(t, service)...).CombinedOutput()
	if err != nil {
		t.Fatalf("service %s: %v\n%s", service, err, out)
	}
	return string(out)
}

// setUp is what ZITADEL does of its first instance's settings.
func (c *composed) setUp(t *testing.T) {
	t.Helper()
	environment := c.services["zitadel"].Environment
	value := func(key string) string { s, _ := environment[key].(string); return c.values.Replace(s) }
	id := c.zitadel.AddMachineUser(value("ZITADEL_FIRSTINSTANCE_ORG_MACHINE_MACHINE_USERNAME"), "IAM_OWNER")
	check(t, os.WriteFile(value("ZITADEL_FIRSTINSTANCE_PATPATH"), []byte(c.zitadel.AddPAT(id)+"\n"), 0o600))
	var users map[string]struct{ Path string }
	check(t, json.Unmarshal([]byte(value("ZITADEL_SYSTEMAPIUSERS")), &users))
	for name, user := range users {
		text, err := os.ReadFile(user.Path)
		check(t, err)
		block, _ := pem.Decode(text)
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		check(t, err)
		c.zitadel.AddSystemUser(name, key.(*rsa.PublicKey))
	}
}

// serve starts zproxy, and waits as the image's health check does.
func (c *composed) serve(t *testing.T) {
	t.Helper()
	var said bytes.Buffer
	serving := exec.Command("zproxy", c.command(t, "zproxy")...)
	serving.Stdout, serving.Stderr = &said, &said
	check(t, serving.Start())
	t.Cleanup(func() {
		check(t, serving.Process.Signal(syscall.SIGTERM))
		if err := serving.Wait(); err != nil || t.Failed() {
			t.Errorf("zproxy ended: %v\n%s", err, said.String())
		}
	})
	out, err := exec.Command("zproxy", "health", "--wait", "20s", "http://"+c.ports["zproxy:9090"]+"/readyz").CombinedOutput()
	if err != nil {
		t.Fatalf("zproxy is not ready: %v\n%s", err, out)
	}
}

// call does what the curl of a service does, at another path if one is given.
func (c *composed) call(t *testing.T, service, path string) (status int, answer string) {
	t.Helper()
	flags, target, header := make(map[string]string), "", make(http.Header)
	for args := c.command(t, service); len(args) > 0; args = args[1:] {
		switch a := args[0]; a {
		case "--silent", "--show-error", "--fail-with-body":
		case "--cacert", "--cert", "--key", "--data":
			flags[a], args = args[1], args[1:]
		case "--header":
			name, value, _ := strings.Cut(args[1], ": ")
			header.Set(name, value)
			args = args[1:]
		default:
			target = a
		}
	}
	u, err := url.Parse(target)
	check(t, err)
	if path != "" {
		u.Path = path
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.ports[address])
	}}
	defer transport.CloseIdleConnections()
	if flags["--cacert"] != "" {
		pool, text := x509.NewCertPool(), must(os.ReadFile(flags["--cacert"]))(t)
		pool.AppendCertsFromPEM(text)
		pair := must(tls.LoadX509KeyPair(flags["--cert"], flags["--key"]))(t)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	}
	r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), strings.NewReader(flags["--data"])))(t)
	r.Header = header
	res := must((&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(r))(t)
	defer res.Body.Close()
	return res.StatusCode, string(must(io.ReadAll(res.Body))(t))
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T { t.Helper(); check(t, err); return value }
}

func TestComposeFilePlayedAgainstTheSandbox(t *testing.T) {
	c := newComposed(t)
	c.once(t, "certificates")
	c.setUp(t)
	c.once(t, "zitadel-serves")
	if said := c.once(t, "bootstrap"); !strings.Contains(said, "granted     ORG_OWNER_VIEWER ") {
		t.Errorf("bootstrap says\n%s", said)
	}
	if roles := c.zitadel.Roles(c.zitadel.Users()["zproxy-reader"]); len(roles) != 1 || strings.Join(roles["organization "+sandbox.Organization], " ") != "ORG_OWNER_VIEWER" {
		t.Errorf("the service user has %q", roles)
	}
	check(t, os.Remove(filepath.Join(c.dir, "administrator.pat"))) // zproxy does without it
	c.serve(t)
	for _, want := range []struct {
		caller, path string
		status       int
		answer       string
	}{
		{"crm", "", 200, "alice@acme.example"},
		{"crm", "/system/v1/instances/_search", 200, "result"},
		{"crm", "/v2/organizations/_search", 403, "no_rule"},
		{"batch", "", 200, "ACME"},
		{"batch", "/v2/users", 200, "alice@acme.example"},
		{"batch", "/system/v1/instances/_search", 403, "no_rule"},
	} {
		if status, answer := c.call(t, want.caller, want.path); status != want.status || !strings.Contains(answer, want.answer) {
			t.Errorf("%s %s: %d %s", want.caller, want.path, status, answer)
		}
	}

	// docker compose up again: what is there is kept.
	id := c.zitadel.Users()["administrator"]
	check(t, os.WriteFile(filepath.Join(c.dir, "administrator.pat"), []byte(c.zitadel.AddPAT(id)), 0o600))
	if said := c.once(t, "certificates"); !strings.HasPrefix(said, "kept ") {
		t.Errorf("certificates says\n%s", said)
	}
	if said := c.once(t, "bootstrap"); !strings.Contains(said, "kept        key ") || len(c.zitadel.Keys(c.zitadel.Users()["zproxy-reader"])) != 1 {
		t.Errorf("bootstrap says\n%s", said)
	}
}
