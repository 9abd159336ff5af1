package workload_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/zproxy/zproxy/authn/workload"
)

// member changes one member of a key's JSON; nil takes it out.
func member(t testing.TB, kid, as string, change map[string]any) string {
	t.Helper()
	var all map[string]any
	check(t, json.Unmarshal([]byte(text(jwk(kid, as))), &all))
	for k, v := range change {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	return text(all)
}

// Each key has one fault, and a good one beside it serves on.
func TestKeysThatCannotBeUsedTakeNoOthersWithThem(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	even := rsa.PublicKey{N: signers()["rsa"].Public().(*rsa.PublicKey).N, E: 65538}
	huge := rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 9000), E: 65537}
	big3 := rsa.PublicKey{N: even.N, E: 1<<31 + 1}
	public := func(k any) string { return text(jose.JSONWebKey{Key: k, KeyID: "bad"}) }
	for name, test := range map[string]struct {
		key  string
		want string // of the fault; "" for a key that no token can select
	}{
		"for encryption":            {member(t, "rsa", "bad", map[string]any{"use": "enc"}), "its use is \"enc\" and not sig"},
		"use is a list":             {member(t, "rsa", "bad", map[string]any{"use": []string{"sig"}}), "use is no string"},
		"for signing only":          {member(t, "rsa", "bad", map[string]any{"key_ops": []string{"sign"}}), "key_ops do not have verify"},
		"for nothing":               {member(t, "rsa", "bad", map[string]any{"key_ops": []string{}}), "key_ops do not have verify"},
		"key_ops is text":           {member(t, "rsa", "bad", map[string]any{"key_ops": "verify"}), "key_ops is no list"},
		"RSA key for HS256":         {member(t, "rsa", "bad", map[string]any{"alg": "HS256"}), "its alg \"HS256\""},
		"RSA key for ES256":         {member(t, "rsa", "bad", map[string]any{"alg": "ES256"}), "its alg \"ES256\""},
		"for encryption by its alg": {member(t, "rsa", "bad", map[string]any{"alg": "RSA-OAEP"}), "its alg \"RSA-OAEP\""},
		"RSA with 1024 bits":        {public(&small.PublicKey), "it has 1024 bits"},
		"RSA with 9001 bits":        {public(&huge), "modulus too large"},
		"RSA with an even exponent": {public(&even), "its exponent"},
		"RSA with a large exponent": {public(&big3), "its exponent"},
		"RSA without n":             {member(t, "rsa", "bad", map[string]any{"n": nil}), "it cannot be read"},
		"EC on P-224":               {strings.Replace(public(signers()["p256"].Public()), "P-256", "P-224", 1), "it cannot be read"},
		"EC off its curve":          {member(t, "p256", "bad", map[string]any{"x": encode(string(bytes.Repeat([]byte{1}, 32)))}), "it cannot be read"},
		"EC of another curve":       {member(t, "p256", "bad", map[string]any{"crv": "P-384"}), "it cannot be read"},
		"Ed25519 that is short":     {member(t, "ed", "bad", map[string]any{"x": "AAAA"}), "it cannot be read"},
		"a private key":             {public(signers()["p256"]), "it is a private key"},
		"a private RSA key":         {public(signers()["rsa"]), "it is a private key"},
		"a shared secret":           {public([]byte("0123456789abcdef0123456789abcdef")), "it is a shared secret"},
		"of an unknown kind":        {`{"kty": "AKP", "kid": "bad", "alg": "ML-DSA-44"}`, "it cannot be read"},
		"without a kind":            {`{"kid": "bad"}`, "it cannot be read"},
		"twice":                     {public(signers()["p256"].Public()) + "," + public(signers()["ed"].Public()), "several keys have this id"},
		"thrice":                    {public(signers()["p256"].Public()) + "," + public(signers()["ed"].Public()) + "," + public(signers()["rsa"].Public()), "several keys have this id"},
		"with a broken certificate": {member(t, "rsa", "bad", map[string]any{"x5c": []string{"AAAA"}}), "it cannot be read"},
		"without an id":             {member(t, "p256", "", nil), ""},
		"id is a number":            {member(t, "p256", "", map[string]any{"kid": 1}), ""},
		"a member twice":            {`{"kid": "bad", "kid": "bad2", "kty": "OKP"}`, ""},
		"no object":                 {`"bad"`, ""},
		"null":                      {"null", ""},
	} {
		set := func(others string) string { return `{"keys": [` + test.key + others + `]}` }
		i := issuer(t, func(c *workload.Config) {
			c.JWKSFile = write(t, filepath.Join(t.TempDir(), "jwks"), set(","+text(jwk("p384", "good"))))
		})
		c := callers(t, i)
		if _, err := c.Verify(token("ES384", "p384", header("ES384", "good"), claims(nil))); err != nil {
			t.Errorf("%s: the good key: %v", name, err)
		}
		for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
			signer := map[string]string{"ES256": "p256", "RS256": "rsa", "EdDSA": "ed"}[alg]
			_, err := c.Verify(token(alg, signer, header(alg, "bad"), claims(nil)))
			if reason(t, err) != workload.ReasonKeyUnknown || test.want != "" && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s := i.Status(); s.Keys != 1 {
			t.Errorf("%s: %+v", name, s)
		}
		alone := workload.Config{Name: "cluster", Issuer: cluster, Audience: audience, JWKSFile: write(t, filepath.Join(t.TempDir(), "jwks"), set(""))}
		if _, err := workload.New(alone); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s alone: %v", name, err)
		}
	}
}

func TestAKeyWithAnAlgorithmIsForThatAlone(t *testing.T) {
	c := callers(t, issuer(t, func(c *workload.Config) {
		c.JWKSFile = write(t, filepath.Join(t.TempDir(), "jwks"), `{"keys": [`+member(t, "rsa", "rsa", map[string]any{"alg": "PS256"})+`]}`)
	}))
	if _, err := c.Verify(token("PS256", "rsa", header("PS256", "rsa"), claims(nil))); err != nil {
		t.Error(err)
	}
	if _, err := c.Verify(good("rsa")); reason(t, err) != workload.ReasonAlgorithm {
		t.Error(err)
	}
}
