package workload_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	cluster  = "https://kubernetes.default.svc.cluster.local"
	audience = "zproxy"
	subject  = "system:serviceaccount:crm:default"
	crm      = "jwt:cluster/" + subject
)

// moment is now for most tests.
func moment() time.Time { return time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC) }

// signers are made once: generating RSA keys takes a good part of a second.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	all := make(map[string]crypto.Signer)
	for _, kid := range []string{"rsa", "rsa2"} {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		all[kid] = k
	}
	for kid, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		all[kid] = k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	all["ed"] = ed
	return all
})

// jwk is the public key of a signer, under an id of its own or another.
func jwk(kid, as string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: signers()[kid].Public(), KeyID: as, Use: "sig"}
}

// jwks is the set of some signers' public keys.
func jwks(kids ...string) string {
	var set jose.JSONWebKeySet
	for _, kid := range kids {
		set.Keys = append(set.Keys, jwk(kid, kid))
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// write puts a file in place as operators do: whole, under its name.
func write(t testing.TB, file, text string) string {
	t.Helper()
	check(t, os.WriteFile(file+".new", []byte(text), 0o600))
	check(t, os.Rename(file+".new", file))
	return file
}

// issuer is the cluster, with the keys of a file.
func issuer(t testing.TB, change func(*workload.Config)) *workload.Issuer {
	t.Helper()
	c := workload.Config{Name: "cluster", Issuer: cluster, Audience: audience, Clock: moment}
	if change != nil {
		change(&c)
	}
	if c.JWKSFile == "" && c.JWKSURL == "" {
		c.JWKSFile = write(t, filepath.Join(t.TempDir(), "jwks.json"), jwks("rsa", "rsa2", "p256", "p384", "p521", "ed"))
	}
	i, err := workload.New(c)
	check(t, err)
	return i
}

func callers(t testing.TB, issuers ...*workload.Issuer) *workload.Callers {
	t.Helper()
	c, err := workload.NewCallers(authn.Sources{}, issuers...)
	check(t, err)
	return c
}

// claims are those of a good token, changed; nil takes one out.
func claims(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": cluster, "sub": subject, "aud": []string{audience},
		"iat": moment().Add(-time.Minute).Unix(), "nbf": moment().Add(-time.Minute).Unix(), "exp": moment().Add(time.Hour).Unix(),
	}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// token signs header and claims, which are values or JSON as it stands, with
// the key of kid as alg says.
func token(alg, kid string, header, claims any) string {
	return signed(alg, signers()[kid], header, claims)
}

func signed(alg string, key any, header, claims any) string {
	input := encode(text(header)) + "." + encode(text(claims))
	sig, err := jwt.GetSigningMethod(alg).Sign(input, key)
	if err != nil {
		panic(err)
	}
	return input + "." + encode(string(sig))
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// good is a token of the workload crm, signed by kid.
func good(kid string) string {
	alg := map[string]string{"rsa": "RS256", "rsa2": "RS256", "p256": "ES256", "p384": "ES384", "p521": "ES512", "ed": "EdDSA"}[kid]
	return token(alg, kid, header(alg, kid), claims(nil))
}

func header(alg, kid string) map[string]any { return map[string]any{"alg": alg, "kid": kid} }

// with is a header with more members.
func with(alg, kid string, more map[string]any) map[string]any {
	h := header(alg, kid)
	for k, v := range more {
		h[k] = v
	}
	return h
}

// reason is why err refuses, "" for nil.
func reason(t testing.TB, err error) authn.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := err.(*authn.Error) // the type itself is promised
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	if !strings.HasPrefix(e.Detail, "verifying token: ") {
		t.Errorf("detail %q", e.Detail)
	}
	return e.Reason
}
