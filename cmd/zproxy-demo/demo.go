package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

// demo is a running zproxy with a sandbox behind it.
type demo struct {
	sandbox              *sandbox.Sandbox
	client               *http.Client
	url, audit, file     string
	alice, reader, robot string // user ids
	organization         string
	certs, meshURL       string
}

// run starts both, takes the tour, and serves on unless once.
func run(ctx context.Context, out io.Writer, address string, once bool) (err error) {
	dir, err := os.MkdirTemp("", "zproxy-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demo{audit: filepath.Join(dir, "audit.jsonl"), file: filepath.Join(dir, "zproxy.yaml"), client: &http.Client{Timeout: 10 * time.Second, Transport: new(http.Transport)}}
	if d.sandbox, err = sandbox.Start(sandbox.Options{}); err != nil {
		return err
	}
	defer d.sandbox.Close()
	text, err := d.configure(dir, address)
	if err != nil {
		return err
	}
	cfg, err := config.Parse(d.file, []byte(text))
	if err != nil {
		return err
	}
	g, err := gateway.New(cfg, gateway.Options{Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	defer func() {
		d.client.CloseIdleConnections()
		stop()
		if e := <-ended; err == nil {
			err = e
		}
	}()
	d.url, d.meshURL = "http://"+g.Address("local").String(), "https://"+g.Address("mesh").String()
	fmt.Fprintf(out, introduction, d.sandbox.Issuer(), d.url, indent(text))
	if err := ready(ctx, g); err != nil {
		return err
	}
	if err := (&tour{demo: d, out: out}).run(ctx); err != nil {
		return err
	}
	if once {
		_, err = fmt.Fprintln(out, "\nThat is all. Your own: zproxy run --issuer https://acme.zitadel.cloud --key key.json --allow 'UserService/List*'")
		return err
	}
	fmt.Fprintf(out, serving, d.url, d.url, d.alice, d.url, d.certs, d.meshURL, d.organization, d.file, d.audit)
	<-ctx.Done()
	return nil
}

const introduction = `zproxy stands between your services and ZITADEL: it knows who calls, decides whether that
caller may do it, attaches a service user's token, and keeps the evidence. Here it runs in front
of a stand-in for ZITADEL, both in this process.

  ZITADEL's stand-in   %s
  zproxy               %s

with this configuration:

%s`

const serving = `
zproxy keeps serving until you press Ctrl-C. In another terminal:

  curl -H 'Content-Type: application/json' -d '{}' %s/v2/users
  curl %s/v2/users/%s
  curl -i -H 'Origin: http://localhost' %s/v2/users/1          # a browser is no caller
  cd %s && curl --cacert ca.crt --cert crm.crt --key crm.key -H 'Content-Type: application/json' %s/v2/users -d '{"queries":[{"organizationIdQuery":{"organizationId":"%s"}}]}'
  go run ./cmd/zproxy explain --config %s --caller anonymous:local POST /v2/users
  tail -f %s
`

// configure makes users and a key in the sandbox, and the configuration that uses them.
func (d *demo) configure(dir, address string) (string, error) {
	d.alice = d.sandbox.Users()["alice@acme.example"]
	d.reader = d.sandbox.AddMachineUser("zproxy", "IAM_OWNER")
	d.robot = d.sandbox.AddMachineUser("build-robot")
	d.organization = sandbox.Organization
	key, err := d.sandbox.KeyFile(d.reader)
	if err != nil {
		return "", err
	}
	if err := d.certificates(filepath.Join(dir, "certs")); err != nil {
		return "", err
	}
	files := map[string]string{
		filepath.Join(dir, "zproxy.json"): string(key),
		d.file:                            strings.NewReplacer("$ISSUER", d.sandbox.Issuer().String(), "$ADDRESS", address, "$DIR", dir, "$ORGANIZATION", d.organization).Replace(configuration),
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(name, []byte(files[name]), 0o600); err != nil {
			return "", err
		}
	}
	return files[d.file], nil
}

const configuration = `version: 1
upstream: {issuer: "$ISSUER"}
listeners:
  - {name: local, address: "$ADDRESS", callers: {anonymous: local}}
  - name: mesh
    address: 127.0.0.1:0
    tls: {certificate_file: $DIR/certs/server.crt, key_file: $DIR/certs/server.key}
    callers: {client_certificate: {ca_file: $DIR/certs/ca.crt}}
service_users:
  - name: zproxy
    private_key_jwt: {key_file: $DIR/zproxy.json}
rules:                                           # nothing else is allowed
  - name: directory
    callers: ["anonymous:local"]
    operations:
      - zitadel.user.v2.UserService/GetUserByID
      - zitadel.user.v2.UserService/List*
    as: zproxy
  - name: crm
    callers: ["spiffe://acme.internal/crm"]
    operations: [zitadel.user.v2.UserService/ListUsers]
    organizations: ["$ORGANIZATION"]       # header, path, query and body name no other
    as: zproxy
  - name: automation
    callers: ["anonymous:local"]
    operations: [zitadel.user.v2.UserService/AddPersonalAccessToken]
    hazards: [mints-credential, own-user]        # a hazardous operation is named in full, with its hazards
    as: zproxy
  - name: own-profile
    callers: ["anonymous:local"]
    operations: [zitadel.auth.v1.AuthService/GetMyUser]
    as: caller                                   # the caller's own user token is passed on
audit: {file: $DIR/audit.jsonl}
hints: true                                      # refusals say which lines would allow them
`

// ready waits for the first token: a moment after the start requests are
// answered "unavailable, try again".
func ready(ctx context.Context, g *gateway.Gateway) error {
	for range 500 {
		if g.Ready() {
			return ctx.Err()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("zproxy got no token within 5 seconds")
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

// names are the headers that arrived, sorted.
func names(h http.Header) string {
	return strings.Join(slices.Sorted(maps.Keys(h)), ", ")
}
