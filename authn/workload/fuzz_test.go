package workload_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
)

// reference says, with another library and in plain words, who a token is of.
func reference(token string) string {
	algorithms := []jose.SignatureAlgorithm{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return ""
	}
	signer, ok := signers()[signed.Signatures[0].Header.KeyID]
	if !ok {
		return ""
	}
	payload, err := signed.Verify(signer.Public())
	if err != nil {
		return ""
	}
	var c struct {
		Iss, Sub string
		Aud      any
		Exp      float64
	}
	if json.Unmarshal(payload, &c) != nil || c.Iss != cluster || c.Sub == "" {
		return ""
	}
	list, _ := c.Aud.([]any)
	for _, a := range append(list, c.Aud) {
		if a == audience && float64(moment().Unix()) < c.Exp && c.Exp <= float64(moment().Add(24*time.Hour+10*time.Second).Unix()) {
			return "jwt:cluster/" + c.Sub
		}
	}
	return ""
}

// No token is taken that another library would not take, and none for another caller.
func FuzzVerify(f *testing.F) {
	i, err := workload.New(workload.Config{
		Name: "cluster", Issuer: cluster, Audience: audience, Clock: moment,
		JWKSFile: write(f, f.TempDir()+"/jwks", jwks("rsa", "rsa2", "p256", "p384", "p521", "ed")),
	})
	check(f, err)
	c := callers(f, i)
	for _, kid := range []string{"rsa", "p256", "ed"} {
		f.Add(good(kid))
		if reference(good(kid)) != crm {
			f.Fatal("the reference takes nothing")
		}
	}
	for _, fault := range faults(f) {
		f.Add(fault.token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		caller, err := c.Verify(token)
		if (err == nil) == caller.IsZero() {
			t.Fatalf("%s, %v", caller, err)
		}
		if err == nil && reference(token) != caller.String() {
			t.Fatalf("taken for %s, and by the reference for %q", caller, reference(token))
		}
	})
}

// What is signed is fuzzed too: whatever the claims are, they are signed well.
func FuzzClaims(f *testing.F) {
	c := callers(f, issuer(f, nil))
	f.Add(text(claims(nil)))
	f.Add(`{"iss":"` + cluster + `","sub":"a","aud":"zproxy","exp":1774866000,"sub":"b"}`)
	f.Add(`{"iss":"` + cluster + `","sub":"a","Sub":"b","aud":"zproxy","exp":1.774866e9}`)
	f.Fuzz(func(t *testing.T, claims string) {
		token := token("EdDSA", "ed", header("EdDSA", "ed"), claims)
		caller, err := c.Verify(token)
		if err != nil {
			reason(t, err)
			return
		}
		if _, err := authn.ParseCaller(caller.String()); err != nil {
			t.Fatal(err)
		}
		var plain map[string]any
		if json.Unmarshal([]byte(claims), &plain) != nil || caller.String() != "jwt:cluster/"+plain["sub"].(string) || plain["iss"] != cluster {
			t.Fatalf("%s of %s", caller, claims)
		}
	})
}
