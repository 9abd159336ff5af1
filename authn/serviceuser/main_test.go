package serviceuser_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey is made once: generating one takes a good part of a second.
var testKey = sync.OnceValue(func() *rsa.PrivateKey { return mustRSA(2048) })

func mustRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func pkcs1(k *rsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
}

func pkcs8(t testing.TB, k any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// keyJSON is a key file, with members replaced or, if nil, left out.
func keyJSON(t testing.TB, change map[string]any) string {
	t.Helper()
	m := map[string]any{
		"type": "serviceaccount", "keyId": "key-1", "userId": "287345091734012345",
		"key": pkcs1(testKey()), "expirationDate": "2999-01-01T00:00:00Z",
	}
	for k, v := range change {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credential")
	replaceFile(t, path, content)
	return path
}

// replaceFile renames a new file into place, as a careful operator would.
func replaceFile(t testing.TB, path, content string) {
	t.Helper()
	next := path + ".new"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func mustNew(t testing.TB, cfg serviceuser.Config, c serviceuser.Credential) *serviceuser.Source {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "reader"
	}
	s, err := serviceuser.New(cfg, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustRSAInsecure makes a key that is too small, which Go itself refuses to
// make unless asked.
func mustRSAInsecure(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	return mustRSA(1024)
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
