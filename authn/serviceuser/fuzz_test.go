package serviceuser_test

import (
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

func FuzzParseKeyFile(f *testing.F) {
	f.Add([]byte(keyJSON(f, nil)))
	f.Add([]byte(keyJSON(f, map[string]any{"key": pkcs8(f, testKey())})))
	f.Add([]byte(keyJSON(f, map[string]any{"type": "application", "clientId": "c", "appId": "a"})))
	f.Add([]byte(keyJSON(f, map[string]any{"expirationDate": nil})))
	f.Add([]byte(`{"type":"serviceaccount","type":"application"}`))
	f.Add([]byte(`{"a":{"b":[1,2,{}]}}`))
	f.Add([]byte("{\"key\":\"-----BEGIN RSA PRIVATE KEY-----\\nAAAA\\n-----END RSA PRIVATE KEY-----\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := serviceuser.ParseKeyFile(data)
		if err != nil {
			if k != nil {
				t.Error("a key beside an error")
			}
			// Errors are texts of this package: one line, no piece of the file.
			if text := err.Error(); len(text) > 300 || strings.ContainsAny(text, "\n\r") {
				t.Errorf("error %q", text)
			}
			return
		}
		for _, id := range []string{k.KeyID, k.UserID} {
			if id == "" || len(id) > 200 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("id %q", id)
			}
		}
		if !strings.Contains(string(data), "serviceaccount") && !strings.Contains(string(data), `\u`) {
			t.Error("a key file of another type")
		}
	})
}
