package serviceuser_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// Whatever somebody prints while looking for a fault, no credential shows.
func TestNothingPrintsACredential(t *testing.T) {
	const canary = "canary.Token-7F"
	z, cfg := serve(t)
	z.setAnswer(grantToken(canary, 600))
	file := writeFile(t, canarySecret)
	cred := serviceuser.ClientCredentials("provisioner", file)
	s := mustNew(t, cfg, cred)
	stop := run(t, s)
	tok := mustFirst(t, s)
	stop() // fmt reads unexported fields without regard to other goroutines
	key, err := serviceuser.ParseKeyFile([]byte(keyJSON(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	pat := mustNew(t, serviceuser.Config{}, serviceuser.PersonalAccessToken(writeFile(t, canary)))
	system := mustNew(t, serviceuser.Config{}, serviceuser.SystemUser("p", writeFile(t, pkcs1(testKey())), issuer))
	jwt := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
	_, _, _ = pat, system, jwt

	d := testKey().D.String()
	hidden := []string{canary, canarySecret, d, fmt.Sprintf("%x", testKey().D), "PRIVATE KEY", fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canarySecret)}
	type wrapped struct {
		Source *serviceuser.Source
		Token  *serviceuser.Token
		Flat   serviceuser.Token
		Key    *serviceuser.KeyFile
		hidden *serviceuser.Source // fmt does not call methods on these
		config serviceuser.Config
		cred   serviceuser.Credential
		file   serviceuser.KeyFile
	}
	for name, v := range map[string]any{
		"source": s, "PAT source": pat, "system source": system, "key source": jwt, "config": cfg, "credential": cred, "token": tok, "token value": *tok,
		"key file": key, "key file value": *key, "status": s.Status(), "slice": []*serviceuser.Token{tok},
		"struct": wrapped{s, tok, *tok, key, s, cfg, cred, *key}, "map": map[string]*serviceuser.Source{"x": s}, "nil token": (*serviceuser.Token)(nil), "nil source": (*serviceuser.Source)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x", "%T", "%t", "%c", "%U", "%20s", "%.3s"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			if b, err := json.Marshal(v); err == nil {
				out.Write(b)
			}
			var text, js bytes.Buffer
			slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
			slog.New(slog.NewJSONHandler(&js, nil)).Info("m", "v", v)
			out.WriteString(text.String() + js.String())
			for _, h := range hidden {
				if strings.Contains(out.String(), h) {
					t.Errorf("%q shows in:\n%s", h, out.String())
				}
			}
		})
	}
}
