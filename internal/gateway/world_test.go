package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

// world is a sandbox with a gateway before it that serves as all four kinds of
// service user.
type world struct {
	sandbox *sandbox.Sandbox
	gateway *gateway.Gateway
	dir     string
	address string // of the listener "local"
	log     *bytes.Buffer
	users   map[string]string // service user → user id
	stop    func()
	drain   string // how long requests in flight may take at the end
	cutOff  error  // what the end said, where it had to cut requests off
}

const worldFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners:
  - {name: local, address: "127.0.0.1:0", callers: {anonymous: local}}
  - {name: socket, address: "unix:$DIR/zproxy.sock", callers: {unix: {me: {uid: $UID}}}}
service_users:
  - {name: key, private_key_jwt: {key_file: "$DIR/key.json"}}
  - {name: secret, client_credentials: {client_id: secret, client_secret_file: "$DIR/secret", user_id: "$SECRET"}}
  - {name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "$PAT"}}
  - {name: platform, system_user: {user: platform, key_file: "$DIR/platform.pem", audience: "$ISSUER"}}
rules:
  - {name: by-key, callers: ["anonymous:local", "unix:me"], operations: [zitadel.user.v2.UserService/ListUsers, zitadel.user.v2.UserService/GetUserByID, zitadel.user.v2.UserService/CreateUser], hazards: [plants-credential, returns-code], as: key}
  - {name: by-secret, callers: ["anonymous:local"], operations: [zitadel.org.v2.OrganizationService/ListOrganizations], as: secret}
  - {name: by-pat, callers: ["anonymous:local"], operations: [zitadel.management.v1.ManagementService/GetMyOrg], organizations: ["*"], as: pat}
  - {name: by-system, callers: ["anonymous:local"], operations: [zitadel.system.v1.SystemService/ListInstances], as: platform}
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
limits: {drain: $DRAIN}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	w := &world{sandbox: s, drain: "5s", dir: t.TempDir(), log: new(bytes.Buffer), users: make(map[string]string)}
	for _, name := range []string{"key", "secret", "pat"} {
		w.users[name] = s.AddMachineUser(name, "IAM_OWNER")
	}
	key, err := s.KeyFile(w.users["key"])
	check(t, err)
	system, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	s.AddSystemUser("platform", &system.PublicKey)
	write(t, filepath.Join(w.dir, "key.json"), string(key))
	write(t, filepath.Join(w.dir, "secret"), s.AddSecret(w.users["secret"]))
	write(t, filepath.Join(w.dir, "pat"), s.AddPAT(w.users["pat"]))
	write(t, filepath.Join(w.dir, "platform.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(system)})))
	return w
}

// start runs the gateway; ready waits until every service user holds a token.
func (w *world) start(t *testing.T, ready bool) {
	t.Helper()
	text := strings.NewReplacer("$ISSUER", w.sandbox.Issuer().String(), "$DIR", w.dir, "$UID", fmt.Sprint(os.Getuid()),
		"$DRAIN", w.drain, "$SECRET", w.users["secret"], "$PAT", w.users["pat"]).Replace(worldFile)
	cfg, err := config.Parse("world.yaml", []byte(text))
	check(t, err)
	w.gateway, err = gateway.New(cfg, gateway.Options{Log: zerolog.New(zerolog.SyncWriter(w.log))})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.gateway.Run(ctx) }()
	stopped := false
	w.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-ended; err != nil && w.drain == "5s" {
				t.Errorf("ending gateway: %v", err)
			} else {
				w.cutOff = err
			}
		}
	}
	t.Cleanup(w.stop)
	w.address = w.gateway.Address("local").String()
	for range 500 {
		if !ready || w.gateway.Ready() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("not ready within 5 s")
}
