package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

const podsFile = `version: 1
upstream: {issuer: "$ISSUER"}
listeners:
  - name: pods
    address: 127.0.0.1:0
    tls: {certificate_file: "$DIR/server.crt", key_file: "$DIR/server.key"}
    callers: {bearer_jwt: {cluster: {issuer: "$CLUSTER", audience: zproxy, ca_file: "$DIR/cluster.crt", bearer_token_file: "$DIR/own-token"}}}
service_users: [{name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "1000000000000001"}}]
rules:
  - {name: crm, callers: ["jwt:cluster/system:serviceaccount:crm:*"], operations: [zitadel.user.v2.UserService/ListUsers], as: pat}
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
`

// apiServer gives the keys of service accounts to those who show a token, as
// the API server of Kubernetes does.
func apiServer(t *testing.T, key *ecdsa.PrivateKey) *httptest.Server {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer zproxys-own-token":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.URL, "jwks_uri": s.URL + "/openid/v1/jwks"})
		default:
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Use: "sig", Algorithm: "ES256"}}})
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// podToken is what the kubelet gives a pod of a service account.
func podToken(t *testing.T, issuer string, key *ecdsa.PrivateKey, account, audience string) string {
	t.Helper()
	now := time.Now()
	made := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": issuer, "sub": "system:serviceaccount:" + account, "aud": []string{audience}, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"kubernetes.io": map[string]any{"namespace": "crm", "serviceaccount": map[string]string{"name": "default", "uid": "1"}},
	})
	made.Header["kid"] = "k1"
	text, err := made.SignedString(key)
	check(t, err)
	return text
}

// Pods show the tokens of their service accounts. No token of theirs goes on, or is written anywhere.
func TestPodsCallByTheirTokens(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	cluster := apiServer(t, key)
	m := &mesh{authority: newAuthority(t), dir: t.TempDir()}
	cert, private := pair(t, m.issue(forServer))
	for name, text := range map[string]string{
		"server.crt": cert, "server.key": private, "own-token": "zproxys-own-token", "pat": s.AddPAT(s.AddMachineUser("pat", "IAM_OWNER")),
		"cluster.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})),
	} {
		write(t, filepath.Join(m.dir, name), text)
	}
	cfg, err := config.Parse("pods.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", m.dir, "$CLUSTER", cluster.URL).Replace(podsFile)))
	check(t, err)
	said := new(journal)
	g, err := gateway.New(cfg, gateway.Options{Log: zerolog.New(said)})
	check(t, err)
	stop := runGateway(t, g)
	m.address = g.Address("pods").String()
	eventually(t, "ready", g.Ready)
	token := func(account, audience string) string { return podToken(t, cluster.URL, key, account, audience) }
	good := token("crm:default", "zproxy")
	ask := func(fields ...string) (int, string) {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://"+m.address+"/v2/users", strings.NewReader("{}"))
		check(t, err)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(fields); i += 2 {
			r.Header.Add(fields[i], fields[i+1])
		}
		res, err := m.client(nil, true).Do(r)
		check(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		check(t, err)
		return res.StatusCode, string(body)
	}
	for n, test := range []struct {
		reason, caller string
		status         int
		fields         []string
	}{
		{"allowed", "jwt:cluster/system:serviceaccount:crm:default", 200, []string{"Authorization", "Bearer " + good}},
		{"no_rule", "jwt:cluster/system:serviceaccount:web:default", 403, []string{"Authorization", "Bearer " + token("web:default", "zproxy")}},
		{"jwt_audience", "", 401, []string{"Authorization", "Bearer " + token("crm:default", cluster.URL)}},
		{"jwt_signature", "", 401, []string{"Authorization", "Bearer " + good[:len(good)-8] + "AAAAAAAA"}},
		{"jwt_missing", "", 401, nil},
		{"jwt_malformed", "", 401, []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}},
		{"browser", "", 403, []string{"Authorization", "Bearer " + good, "Origin", "https://evil.example"}},
	} {
		status, body := ask(test.fields...)
		if status != test.status {
			t.Errorf("%s: %d %s", test.reason, status, body)
		}
		all := m.records()
		for i := 0; len(all) <= n && i < 6000; i++ { // the record may follow the answer
			time.Sleep(5 * time.Millisecond)
			all = m.records()
		}
		if last := all[len(all)-1]; last.Reason != test.reason || last.Caller != test.caller {
			t.Errorf("recorded %s of %q, want %s", last.Reason, last.Caller, test.reason)
		}
	}
	metrics, err := http.Get("http://" + g.Address("admin").String() + "/metrics")
	check(t, err)
	defer metrics.Body.Close()
	exposed, err := io.ReadAll(metrics.Body)
	check(t, err)
	for _, want := range []string{`zproxy_issuer_ready{issuer="cluster",listener="pods"} 1`, `zproxy_issuer_keys{issuer="cluster",listener="pods"} 1`} {
		if !strings.Contains(string(exposed), want) {
			t.Errorf("no metric %s", want)
		}
	}
	stop()
	records, err := os.ReadFile(filepath.Join(m.dir, "audit.jsonl"))
	check(t, err)
	if s.Count() == 0 {
		t.Error("nothing arrived")
	}
	for where, text := range map[string]string{"log": said.String(), "audit": string(records), "metrics": string(exposed), "upstream": fmt.Sprintf("%+v", s.Requests())} {
		for _, part := range strings.Split(good, ".") {
			if strings.Contains(text, part) {
				t.Errorf("the token is in the %s", where)
			}
		}
		if strings.Contains(text, "zproxys-own-token") {
			t.Errorf("zproxy's own token is in the %s", where)
		}
	}
}

func TestIssuersAreCheckedAndTheirFilesNamed(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	cluster, dir := apiServer(t, key), t.TempDir()
	write(t, filepath.Join(dir, "own-token"), "zproxys-own-token")
	write(t, filepath.Join(dir, "cluster.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})))
	text := strings.NewReplacer("$ISSUER", "https://127.0.0.1:1", "$DIR", dir, "$CLUSTER", cluster.URL, `["jwt:cluster/`, `["jwt:other/a", "jwt:cluster/`).Replace(podsFile)
	cfg, err := config.Parse("pods.yaml", []byte(text))
	check(t, err)
	about := func(offline bool) string {
		findings, err := gateway.Check(context.Background(), cfg, gateway.CheckOptions{Offline: offline})
		check(t, err)
		return fmt.Sprintf("%+v", findings)
	}
	if got := about(true); !strings.Contains(got, "its keys were not fetched") || !strings.Contains(got, "none has the issuer other") || strings.Contains(got, "none has the issuer cluster") {
		t.Error(got)
	}
	if got := about(false); !strings.Contains(got, "it has 1 keys") {
		t.Error(got)
	}
	write(t, filepath.Join(dir, "own-token"), "another")
	if got := about(false); !strings.Contains(got, "refuses the token of bearer_token_file") {
		t.Error(got)
	}
	files := strings.Join(gateway.FilesOf(cfg).Read, " ")
	for _, name := range []string{"own-token", "cluster.crt"} {
		if !strings.Contains(files, filepath.Join(dir, name)) {
			t.Errorf("%s is not among %s", name, files)
		}
	}
}

const liveIssuer = `listeners:
  - name: local
    address: "127.0.0.1:0"
    callers: {bearer_jwt: {cluster: {issuer: "$CLUSTER", audience: $AUDIENCE, ca_file: "$DIR/cluster.crt", bearer_token_file: "$DIR/own-token"}}}
`

// The issuer is down when rules change: its keys are those that were fetched before.
func TestAReloadKeepsTheKeysOfIssuers(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	cluster := apiServer(t, key)
	files := t.TempDir()
	write(t, filepath.Join(files, "own-token"), "zproxys-own-token")
	write(t, filepath.Join(files, "cluster.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})))
	const pods, web = "jwt:cluster/system:serviceaccount:crm:*", "jwt:cluster/system:serviceaccount:web:*"
	listeners := func(audience string) string {
		return strings.NewReplacer("$CLUSTER", cluster.URL, "$AUDIENCE", audience, "$DIR", files).Replace(liveIssuer)
	}
	rules := func(caller string) string { return strings.ReplaceAll(liveRules, "anonymous:local", caller) }
	l := goLive(t, listeners("zproxy"), rules(pods), liveRest)
	status := func(audience string) int {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+l.Address("local").String()+listUsers, strings.NewReader("{}"))
		check(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+podToken(t, cluster.URL, key, "crm:default", audience))
		res, err := l.client.Do(r)
		check(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	if got := status("zproxy"); got != 200 {
		t.Fatalf("before: %d", got)
	}
	l.configure(t, listeners("other"), rules(pods), liveRest)
	check(t, l.Reload())
	if a, b := status("zproxy"), status("other"); a != 401 || b != 200 {
		t.Errorf("with another audience: %d, %d", a, b)
	}
	cluster.Close()
	l.configure(t, listeners("other"), rules(web), liveRest)
	check(t, l.Reload())
	if got := status("other"); got != 403 {
		t.Errorf("with other rules: %d", got)
	}
	l.configure(t, listeners("other"), rules(pods), liveRest)
	check(t, l.Reload())
	if got := status("other"); got != 200 {
		t.Errorf("with the first rules again: %d", got)
	}
	l.configure(t, listeners("third"), rules(pods), liveRest)
	check(t, l.Reload())
	if a, b := status("other"), status("third"); a != 401 || b != 200 {
		t.Errorf("with another audience while the issuer is down: %d, %d", a, b)
	}
	write(t, filepath.Join(files, "another.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})))
	l.configure(t, strings.ReplaceAll(listeners("third"), "cluster.crt", "another.crt"), rules(pods), liveRest)
	check(t, l.Reload())
	if got := status("third"); got != 503 {
		t.Errorf("with keys that other CAs vouched for: %d", got)
	}
}
