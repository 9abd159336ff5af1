package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

// The upstream's certificate must be for the issuer's name whatever the address,
// from the extra CA, over the version that is asked for; and zproxy proves itself.
func TestUpstreamIsTrustedByTheIssuersName(t *testing.T) {
	ca := newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	own := ca.issue(func(c *x509.Certificate) { c.DNSNames = []string{"zproxy.internal"} })
	for name, c := range map[string]struct {
		server string // the name in the server's certificate
		most   uint16 // the newest version that it speaks
		status int
	}{
		"the issuer's name":       {"zitadel.internal", tls.VersionTLS13, http.StatusOK},
		"the address's name":      {"localhost", tls.VersionTLS13, http.StatusBadGateway},
		"a version that is older": {"zitadel.internal", tls.VersionTLS12, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			var seen tls.ConnectionState
			upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/v2/users") {
					seen = *r.TLS
				}
				_, _ = io.WriteString(w, "{}")
			}))
			cert := ca.issue(func(x *x509.Certificate) { forServer(x); x.DNSNames = []string{c.server} })
			upstream.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MaxVersion: c.most}
			upstream.StartTLS()
			t.Cleanup(upstream.Close)
			dir := t.TempDir()
			ownCert, ownKey := pair(t, own)
			for file, text := range map[string]string{"ca.crt": ca.pem(), "own.crt": ownCert, "own.key": ownKey, "pat": "token"} {
				write(t, filepath.Join(dir, file), text)
			}
			cfg, err := config.Parse("z.yaml", []byte(strings.NewReplacer("$UPSTREAM", upstream.Listener.Addr().String(), "$DIR", dir).Replace(`version: 1
upstream:
  issuer: https://zitadel.internal
  address: https://$UPSTREAM
  ca_file: $DIR/ca.crt
  tls: {minimum_version: "1.3", certificate_file: "$DIR/own.crt", key_file: "$DIR/own.key"}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "1000000000000001"}}]
rules: [{name: a, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/GetUserByID], as: pat}]
audit: {file: "$DIR/audit.jsonl"}
`)))
			check(t, err)
			address, _ := serve(t, cfg, gateway.Options{})
			res, err := http.Get("http://" + address + "/v2/users/1")
			check(t, err)
			check(t, res.Body.Close())
			if res.StatusCode != c.status {
				t.Fatalf("answered %d, want %d", res.StatusCode, c.status)
			}
			if c.status == http.StatusOK && (seen.ServerName != "zitadel.internal" || seen.Version != tls.VersionTLS13 || seen.PeerCertificates[0].DNSNames[0] != "zproxy.internal") {
				t.Errorf("the upstream saw %+v", seen)
			}
		})
	}
}

func TestAnUpstreamCertificateThatCannotBeReadRefusesStart(t *testing.T) {
	dir := t.TempDir()
	cfg, err := config.Parse("z.yaml", []byte(strings.ReplaceAll(`version: 1
upstream: {issuer: https://zitadel.internal, tls: {certificate_file: "$DIR/own.crt", key_file: "$DIR/own.key"}}
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
rules: [{name: a, callers: ["anonymous:local"], operations: [oidc/userinfo], hazards: [own-user], as: caller}]
audit: {file: "$DIR/audit.jsonl"}
`, "$DIR", dir)))
	check(t, err)
	if _, err := gateway.New(cfg, gateway.Options{}); err == nil || !strings.Contains(err.Error(), "own.crt") {
		t.Errorf("got %v", err)
	}
}

// New files that cannot be used leave those before in use, and that is said
// without waiting for a handshake, as is their end.
func TestABadNewUpstreamCertificateKeepsTheOldAndSaysSo(t *testing.T) {
	ca := newAuthority(t)
	cert, key := pair(t, ca.issue(forServer))
	l := goLiveFrom(t, map[string]string{"own.crt": cert, "own.key": key},
		"upstream: {issuer: https://zitadel.internal, address: \"https://127.0.0.1:1\", tls: {certificate_file: \"$DIR/own.crt\", key_file: \"$DIR/own.key\"}}\n", liveListeners,
		`rules: [{name: a, callers: ["anonymous:local"], operations: [oidc/userinfo], hazards: [own-user], as: caller}]
audit: {file: "$DIR/audit.jsonl"}
admin: {address: "127.0.0.1:0"}
`)
	fresh, freshKey := pair(t, ca.issue(forServer))
	replace(t, filepath.Join(l.dir, "own.crt"), fresh) // and its key is still to come
	eventually(t, "the fault", func() bool {
		code, detail := l.readyz(t)
		return code == http.StatusOK && strings.Contains(detail.UpstreamCertificate, "own.crt") && strings.Contains(l.log.String(), "stays in use")
	})
	if text := l.metrics(t); !strings.Contains(text, `zproxy_certificate_reloads_total{listener="",result="failed"} 1`) {
		t.Error("the failed reload is not counted")
	}
	replace(t, filepath.Join(l.dir, "own.key"), freshKey)
	eventually(t, "no fault", func() bool {
		_, detail := l.readyz(t)
		return detail.UpstreamCertificate == "" && strings.Contains(l.log.String(), "certificate towards the upstream reloaded")
	})
}
