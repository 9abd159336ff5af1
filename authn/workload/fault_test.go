package workload_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
)

func at(d time.Duration) int64 { return moment().Add(d).Unix() }

type fault struct {
	name, token string
	want        authn.Reason
}

// claimed is a token that is well but for its claims.
func claimed(change map[string]any) string {
	return token("ES256", "p256", header("ES256", "p256"), claims(change))
}

// headed is a token that is well but for its header.
func headed(h any) string { return token("ES256", "p256", h, claims(nil)) }

// faults are tokens that are each wrong in one thing.
func faults(t testing.TB) []fault {
	const (
		malformed = workload.ReasonMalformed
		algorithm = workload.ReasonAlgorithm
		signature = workload.ReasonSignature
		unknown   = workload.ReasonKeyUnknown
		audience  = workload.ReasonAudience
		lifetime  = workload.ReasonLifetime
		early     = workload.ReasonNotYetValid
		noSubject = workload.ReasonSubject
		foreign   = workload.ReasonIssuer
	)
	whole := good("p256")
	parts := strings.Split(whole, ".")
	der, err := x509.MarshalPKIXPublicKey(signers()["rsa"].Public())
	check(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	own, err := json.Marshal(jwk("p384", "p256"))
	check(t, err)
	duplicated := strings.Replace(text(claims(nil)), `"sub":`, `"sub":"system:serviceaccount:kube-system:admin","sub":`, 1)
	all := []fault{
		// form
		{"empty", "", workload.ReasonMissing},
		{"opaque", "abcdefghijklmnop", malformed},
		{"two parts", parts[0] + "." + parts[1], malformed},
		{"four parts", whole + ".", malformed},
		{"encrypted", "a.b.c.d.e", malformed},
		{"dots alone", "..", malformed},
		{"a million dots", strings.Repeat(".", 16<<10), malformed},
		{"too long", whole + strings.Repeat("A", 16<<10), malformed},
		{"padding", whole + "=", malformed},
		{"standard alphabet", strings.Replace(whole, ".", "+.", 1), malformed},
		{"line end inside", parts[0] + ".\n" + parts[1] + "." + parts[2], malformed},
		{"space behind", whole + " ", malformed},
		{"NUL", whole + "\x00", malformed},
		{"JSON serialization", `{"payload":"` + parts[1] + `"}`, malformed},
		{"stray bits in the header", encode(`{"alg":"ES256","kid":"p256"} `) + "B." + parts[1] + "." + parts[2], malformed},
		{"header is no JSON", encode("alg=ES256") + "." + parts[1] + "." + parts[2], malformed},
		{"header is null", headed("null"), malformed},
		{"header is a list", headed(`["ES256"]`), malformed},
		{"header with something behind", headed(`{"alg":"ES256","kid":"p256"}{}`), malformed},
		{"claims are no JSON", token("ES256", "p256", header("ES256", "p256"), "iss"), malformed},
		{"claims are null", token("ES256", "p256", header("ES256", "p256"), "null"), foreign},
		{"claims are a list", token("ES256", "p256", header("ES256", "p256"), "[]"), malformed},
		{"claims are not UTF-8", token("ES256", "p256", header("ES256", "p256"), strings.Replace(text(claims(nil)), "crm", "crm\xff", 1)), malformed},
		{"claims are compressed", headed(with("ES256", "p256", map[string]any{"zip": "DEF", "crit": []string{"zip"}})), malformed},
		// header
		{"alg twice", headed(`{"alg":"none","alg":"ES256","kid":"p256"}`), malformed},
		{"kid twice", headed(`{"alg":"ES256","kid":"p384","kid":"p256"}`), malformed},
		{"kid is a number", headed(`{"alg":"ES256","kid":256}`), malformed},
		{"kid is null", headed(`{"alg":"ES256","kid":null}`), malformed},
		{"typ of a logout token", headed(with("ES256", "p256", map[string]any{"typ": "logout+jwt"})), malformed},
		{"typ is a list", headed(with("ES256", "p256", map[string]any{"typ": []string{"JWT"}})), malformed},
		{"crit", headed(with("ES256", "p256", map[string]any{"crit": []string{"exp"}})), malformed},
		{"crit is null", headed(`{"alg":"ES256","kid":"p256","crit":null}`), malformed},
		// algorithm
		{"none", encode(`{"alg":"none","kid":"p256"}`) + "." + parts[1] + ".", algorithm},
		{"None", encode(`{"alg":"None","kid":"p256"}`) + "." + parts[1] + ".", algorithm},
		{"no alg", headed(`{"kid":"p256"}`), algorithm},
		{"alg is empty", headed(`{"alg":"","kid":"p256"}`), algorithm},
		{"alg in lower case", headed(`{"alg":"es256","kid":"p256"}`), algorithm},
		{"Alg", headed(`{"Alg":"ES256","kid":"p256"}`), algorithm},
		{"HS256 with the public key in PEM", signed("HS256", public, header("HS256", "rsa"), claims(nil)), algorithm},
		{"HS256 with the public key in DER", signed("HS256", der, header("HS256", "rsa"), claims(nil)), algorithm},
		{"RS256 for an ES256 key", token("RS256", "rsa", header("RS256", "p256"), claims(nil)), algorithm},
		{"ES256 for an RSA key", token("ES256", "p256", header("ES256", "rsa"), claims(nil)), algorithm},
		{"ES256 for a P-384 key", token("ES256", "p256", header("ES256", "p384"), claims(nil)), algorithm},
		{"EdDSA for an RSA key", token("EdDSA", "ed", header("EdDSA", "rsa"), claims(nil)), algorithm},
		{"ES256K", headed(header("ES256K", "p256")), algorithm},
		// key
		{"no kid", headed(`{"alg":"ES256"}`), unknown},
		{"kid is empty", headed(header("ES256", "")), unknown},
		{"KID", headed(`{"alg":"ES256","KID":"p256"}`), unknown},
		{"kid of nobody", headed(header("ES256", "p257")), unknown},
		{"kid that is a path", headed(header("ES256", "../../../dev/null")), unknown},
		{"kid that is SQL", headed(header("ES256", "x' UNION SELECT 'key")), unknown},
		{"jwk of its own", token("ES384", "p384", with("ES384", "p256", map[string]any{"jwk": json.RawMessage(own)}), claims(nil)), algorithm},
		{"jwk of its own without kid", token("ES384", "p384", map[string]any{"alg": "ES384", "jwk": json.RawMessage(own)}, claims(nil)), unknown},
		{"jku of its own", token("ES256", "p256", with("ES256", "evil", map[string]any{"jku": "https://evil.example/jwks"}), claims(nil)), unknown},
		{"x5u of its own", token("ES256", "p256", with("ES256", "evil", map[string]any{"x5u": "https://evil.example/x"}), claims(nil)), unknown},
		// signature
		{"no signature", parts[0] + "." + parts[1] + ".", signature},
		{"signature of another token", parts[0] + "." + parts[1] + "." + strings.Split(claimed(map[string]any{"sub": "b"}), ".")[2], signature},
		{"claims of another token", parts[0] + "." + strings.Split(claimed(map[string]any{"sub": "b"}), ".")[1] + "." + parts[2], signature},
		{"header of another token", strings.Split(headed(with("ES256", "p256", map[string]any{"typ": "JWT"})), ".")[0] + "." + parts[1] + "." + parts[2], signature},
		{"signature in ASN.1", parts[0] + "." + parts[1] + "." + encode("0\x06\x02\x01\x01\x02\x01\x01"), signature},
		{"signature of zeros", parts[0] + "." + parts[1] + "." + encode(strings.Repeat("\x00", 64)), signature}, // CVE-2022-21449
		{"key of another of the issuer's", token("RS256", "rsa2", header("RS256", "rsa"), claims(nil)), signature},
		{"PS256 said to be RS256", token("PS256", "rsa", header("RS256", "rsa"), claims(nil)), signature},
		{"one bit", parts[0] + "." + parts[1] + "." + flipped(t, parts[2]), signature},
		// issuer
		{"another issuer", claimed(map[string]any{"iss": "https://evil.example"}), foreign},
		{"issuer with a slash", claimed(map[string]any{"iss": cluster + "/"}), foreign},
		{"issuer in capitals", claimed(map[string]any{"iss": strings.ToUpper(cluster)}), foreign},
		{"no issuer", claimed(map[string]any{"iss": nil}), foreign},
		{"ISS", claimed(map[string]any{"iss": nil, "ISS": cluster}), foreign},
		{"issuer is a list", claimed(map[string]any{"iss": []string{cluster}}), malformed},
		// audience
		{"another audience", claimed(map[string]any{"aud": "https://kubernetes.default.svc"}), audience},
		{"audiences of others", claimed(map[string]any{"aud": []string{"a", "b"}}), audience},
		{"no audience", claimed(map[string]any{"aud": nil}), audience},
		{"empty audiences", claimed(map[string]any{"aud": []string{}}), audience},
		{"audience in capitals", claimed(map[string]any{"aud": "ZPROXY"}), audience},
		{"audience with more", claimed(map[string]any{"aud": "zproxy.evil"}), audience},
		{"audience is a number", claimed(map[string]any{"aud": 1}), malformed},
		{"audience null", claimed(map[string]any{"aud": json.RawMessage("null")}), malformed},
		{"audiences with null", claimed(map[string]any{"aud": []any{nil, "zproxy"}}), malformed},
		{"audiences in lists", claimed(map[string]any{"aud": []any{[]string{"zproxy"}}}), malformed},
		// time
		{"ended", claimed(map[string]any{"exp": at(-time.Second)}), workload.ReasonExpired},
		{"ends now", claimed(map[string]any{"exp": at(0)}), workload.ReasonExpired},
		{"ended in 1970", claimed(map[string]any{"exp": 0}), workload.ReasonExpired},
		{"no end", claimed(map[string]any{"exp": nil}), lifetime},
		{"EXP", claimed(map[string]any{"exp": nil, "EXP": at(time.Hour)}), lifetime},
		{"lives a year", claimed(map[string]any{"exp": at(365 * 24 * time.Hour)}), lifetime},
		{"lives a second too long", claimed(map[string]any{"iat": at(0), "exp": at(24*time.Hour + time.Second)}), lifetime},
		{"lives too long by a clock that is slow", claimed(map[string]any{"iat": at(-23 * time.Hour), "exp": at(2 * time.Hour)}), lifetime},
		{"lives too long and does not say since when", claimed(map[string]any{"iat": nil, "exp": at(25 * time.Hour)}), lifetime},
		{"begins later", claimed(map[string]any{"nbf": at(11 * time.Second)}), early},
		{"issued later", claimed(map[string]any{"iat": at(11 * time.Second)}), early},
		{"end is text", claimed(map[string]any{"exp": "1774872000"}), malformed},
		{"end is negative", claimed(map[string]any{"exp": -1}), malformed},
		{"end is beyond all time", claimed(map[string]any{"exp": json.RawMessage("1e300")}), malformed},
		{"end is beyond all numbers", claimed(map[string]any{"exp": json.RawMessage("1e999")}), malformed},
		{"end is null", claimed(map[string]any{"exp": json.RawMessage("null")}), malformed},
		{"begin is a list", claimed(map[string]any{"nbf": []int{1}}), malformed},
		{"issue is true", claimed(map[string]any{"iat": true}), malformed},
		// subject
		{"no subject", claimed(map[string]any{"sub": nil}), noSubject},
		{"empty subject", claimed(map[string]any{"sub": ""}), noSubject},
		{"subject of others", claimed(map[string]any{"sub": "system:serviceaccount:crm:*"}), noSubject},
		{"subject with a space", claimed(map[string]any{"sub": "a b"}), noSubject},
		{"subject with a line end", claimed(map[string]any{"sub": "a\n"}), noSubject},
		{"subject of look-alikes", claimed(map[string]any{"sub": "system:serviceaccount:сrm:default"}), noSubject},
		{"subject too long", claimed(map[string]any{"sub": strings.Repeat("a", 257)}), noSubject},
		{"subject is a number", claimed(map[string]any{"sub": 1}), malformed},
		{"subject twice", token("ES256", "p256", header("ES256", "p256"), duplicated), malformed},
	}
	return all
}

// flipped is a signature with one bit turned round.
func flipped(t testing.TB, part string) string {
	sig, err := base64.RawURLEncoding.DecodeString(part)
	check(t, err)
	sig[10] ^= 1
	return encode(string(sig))
}

func TestFaultyTokensAreRefusedWithTheirReasons(t *testing.T) {
	c := callers(t, issuer(t, nil))
	seen := make(map[string]bool)
	for _, f := range faults(t) {
		if seen[f.name] {
			t.Errorf("%s is there twice", f.name)
		}
		seen[f.name] = true
		caller, err := c.Verify(f.token)
		if got := reason(t, err); got != f.want || !caller.IsZero() {
			t.Errorf("%s: %q (%v), want %s", f.name, got, err, f.want)
		}
		if err != nil && len(f.token) > 40 && strings.Contains(err.Error(), f.token[len(f.token)-20:]) {
			t.Errorf("%s: the token is repeated: %v", f.name, err)
		}
	}
	if len(seen) < 90 {
		t.Errorf("%d faults", len(seen))
	}
}

func TestGoodTokensNameTheirSubjects(t *testing.T) {
	c := callers(t, issuer(t, nil))
	for name, token := range map[string]string{
		"RS256": good("rsa"), "RS384": token("RS384", "rsa", header("RS384", "rsa"), claims(nil)), "RS512": token("RS512", "rsa", header("RS512", "rsa"), claims(nil)),
		"PS256": token("PS256", "rsa", header("PS256", "rsa"), claims(nil)), "PS512": token("PS512", "rsa2", header("PS512", "rsa2"), claims(nil)),
		"ES256": good("p256"), "ES384": good("p384"), "ES512": good("p521"), "EdDSA": good("ed"),
		"typ JWT": headed(with("ES256", "p256", map[string]any{"typ": "JWT"})), "typ at+jwt": headed(with("ES256", "p256", map[string]any{"typ": "application/at+jwt"})),
		"jku is ignored":       headed(with("ES256", "p256", map[string]any{"jku": "https://evil.example", "x5u": "https://evil.example", "jwk": 1, "x5c": []int{1}})),
		"audience alone":       claimed(map[string]any{"aud": audience}),
		"several audiences":    claimed(map[string]any{"aud": []string{"a", audience}}),
		"clock a bit behind":   claimed(map[string]any{"nbf": at(10 * time.Second), "iat": at(10 * time.Second)}),
		"no iat and nbf":       claimed(map[string]any{"iat": nil, "nbf": nil}),
		"a whole day":          claimed(map[string]any{"iat": at(0), "exp": at(24 * time.Hour)}),
		"fractions":            claimed(map[string]any{"exp": float64(at(time.Hour)) + 0.5}),
		"claims of Kubernetes": claimed(map[string]any{"jti": "1", "kubernetes.io": map[string]any{"namespace": "crm", "pod": map[string]string{"name": "a", "uid": "b"}}}),
	} {
		caller, err := c.Verify(token)
		if err != nil || caller.String() != crm {
			t.Errorf("%s: %s, %v", name, caller, err)
		}
	}
	for _, sub := range []string{"spiffe://acme.internal/crm", "repo:acme/app:ref:refs/heads/main", "auth0|1", strings.Repeat("a", 256)} {
		caller, err := c.Verify(claimed(map[string]any{"sub": sub}))
		if err != nil || caller.String() != "jwt:cluster/"+sub {
			t.Errorf("%s: %s, %v", sub, caller, err)
		}
	}
}

// Issuers of one listener may use the same ids for keys, and their tokens stay apart.
func TestTokensAreHeldAgainstTheirOwnIssuer(t *testing.T) {
	other := issuer(t, func(c *workload.Config) {
		c.Name, c.Issuer, c.Audience = "ci", "https://ci.example", "zproxy-ci"
		c.JWKSFile = write(t, t.TempDir()+"/jwks.json", strings.ReplaceAll(jwks("p384"), `"kid":"p384"`, `"kid":"p256"`))
	})
	c := callers(t, issuer(t, nil), other)
	foreign := claims(map[string]any{"iss": "https://ci.example", "aud": "zproxy-ci"})
	caller, err := c.Verify(token("ES384", "p384", header("ES384", "p256"), foreign))
	if err != nil || caller.String() != "jwt:ci/"+subject {
		t.Errorf("%s, %v", caller, err)
	}
	for name, f := range map[string]fault{
		"the other's name with this key":     {token: token("ES256", "p256", header("ES256", "p256"), foreign), want: workload.ReasonAlgorithm},
		"this name with the other's key":     {token: token("ES384", "p384", header("ES384", "p256"), claims(nil)), want: workload.ReasonAlgorithm},
		"the audience of the other issuer's": {token: claimed(map[string]any{"aud": "zproxy-ci"}), want: workload.ReasonAudience},
	} {
		if _, err := c.Verify(f.token); reason(t, err) != f.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token for one listener is of no use at another with an audience of its own.
func TestATokenIsForOneAudience(t *testing.T) {
	elsewhere := callers(t, issuer(t, func(c *workload.Config) { c.Audience = "zproxy-admin" }))
	if _, err := elsewhere.Verify(good("p256")); reason(t, err) != workload.ReasonAudience {
		t.Error(err)
	}
}

// The table would mean nothing if the library took none of its tokens.
func TestTheLibraryAloneTakesSomeOfTheFaultyTokens(t *testing.T) {
	taken := 0
	for _, f := range faults(t) {
		var c jwt.RegisteredClaims
		_, err := jwt.ParseWithClaims(f.token, &c, func(*jwt.Token) (any, error) { return signers()["p256"].Public(), nil }, jwt.WithTimeFunc(moment))
		if err == nil {
			taken++
		}
	}
	if taken < 20 {
		t.Errorf("%d", taken)
	}
}
