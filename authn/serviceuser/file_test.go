package serviceuser_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

func TestAReplacedKeyIsTakenUp(t *testing.T) {
	t.Parallel()
	file := writeFile(t, keyJSON(t, nil))
	z, cfg := serve(t)
	j := &journal{}
	cfg.Observe = j.note
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(file))
	stop := run(t, s)
	tok := mustFirst(t, s)
	replaceFile(t, file, keyJSON(t, map[string]any{"keyId": "key-2"}))
	within(t, "a new token", func() bool {
		now, err := s.Token()
		if err != nil {
			t.Fatalf("the old token was withdrawn: %v", err)
		}
		return now != tok
	})
	stop()
	if z.lastKID() != "key-2" || z.requests.Load() != 2 || len(j.of(serviceuser.CredentialChanged)) != 1 {
		t.Errorf("kid %q, %d requests, events %v", z.lastKID(), z.requests.Load(), j.events)
	}
}

func TestABrokenReplacementLeavesTheOldKeyInUse(t *testing.T) {
	t.Parallel()
	file := writeFile(t, keyJSON(t, nil))
	z, cfg := serve(t)
	j := &journal{}
	cfg.Observe = j.note
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(file))
	run(t, s)
	tok := mustFirst(t, s)
	for i, c := range []struct {
		change func()
		want   string
	}{
		{func() { replaceFile(t, file, `{"type":"serviceaccount","keyId":"k`) }, "damaged"},
		{func() { removeFile(t, file) }, "no such file"},
		{func() { replaceFile(t, file, keyJSON(t, map[string]any{"userId": "999"})) }, "belongs to user 999 instead of 287345091734012345"},
		{func() { replaceFile(t, file, "") }, "no JSON object"},
	} {
		c.change()
		within(t, c.want, func() bool {
			e := j.of(serviceuser.CredentialRefused)
			return len(e) == i+1 && strings.Contains(e[i].Err.Error(), c.want) && strings.Contains(e[i].Err.Error(), file)
		})
	}
	time.Sleep(1100 * time.Millisecond) // one more look: the same fault is not reported again
	if n := len(j.of(serviceuser.CredentialRefused)); n != 4 {
		t.Errorf("%d reports of 4 faults", n)
	}
	s.Discard(tok)
	if _, err := s.Next(t.Context(), tok); err != nil || z.lastKID() != "key-1" {
		t.Errorf("the old key does not serve: %v, kid %q", err, z.lastKID())
	}
	replaceFile(t, file, keyJSON(t, map[string]any{"keyId": "key-3"}))
	within(t, "recovery", func() bool { return z.lastKID() == "key-3" })
}

func TestASecretRewrittenInPlaceIsTakenUp(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "wrong!/+ value")
	_, cfg := serve(t)
	s := mustNew(t, cfg, serviceuser.ClientCredentials("provisioner", file))
	run(t, s)
	if _, err := first(t, s); err == nil || !strings.Contains(err.Error(), "refused the client secret") {
		t.Fatalf("error %v", err)
	}
	// Same length, same inode, and perhaps the same tick of the file system.
	if err := os.WriteFile(file, []byte("s3cret/+ value"), 0o600); err != nil {
		t.Fatal(err)
	}
	within(t, "a token", func() bool { _, err := s.Token(); return err == nil })
}

// File times show neither of two changes: one within a tick of the file
// system's clock, one by a tool that keeps times.
func TestAReplacementThatKeepsSizeAndTimeIsTakenUp(t *testing.T) {
	t.Parallel()
	keep := func(t *testing.T, path string, at time.Time) {
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write := func(t *testing.T, path string, at time.Time) {
		if err := os.WriteFile(path, []byte("pat-2"), 0o600); err != nil {
			t.Fatal(err)
		}
		keep(t, path, at)
	}
	for name, c := range map[string]struct {
		age    time.Duration
		change func(t *testing.T, path string, at time.Time)
	}{
		"rewritten within a tick": {0, write},
		"renamed into place with an old time": {time.Hour, func(t *testing.T, path string, at time.Time) {
			write(t, path+".new", at)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, at := writeFile(t, "pat-1"), time.Now().Add(-c.age)
			keep(t, file, at)
			s := mustNew(t, serviceuser.Config{}, serviceuser.PersonalAccessToken(file))
			c.change(t, file, at) // before the loop's first look
			run(t, s)
			within(t, "pat-2", func() bool { tok, err := s.Token(); return err == nil && tok.Authorization[0] == "Bearer pat-2" })
		})
	}
}

// Kubernetes swaps a link to a directory; the path itself never changes.
func TestASwappedLinkIsTakenUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"v1": "pat-1", "v2": "pat-2"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "pat"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to string) {
		if err := os.Symlink(to, filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
	}
	link("v1")
	s := mustNew(t, serviceuser.Config{}, serviceuser.PersonalAccessToken(filepath.Join(dir, "data", "pat")))
	run(t, s)
	mustFirst(t, s)
	link("v2")
	within(t, "pat-2", func() bool { tok, err := s.Token(); return err == nil && tok.Authorization[0] == "Bearer pat-2" })
}

func TestATouchedFileCausesNoFetch(t *testing.T) {
	t.Parallel()
	file := writeFile(t, keyJSON(t, nil))
	z, cfg := serve(t)
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(file))
	run(t, s)
	mustFirst(t, s)
	replaceFile(t, file, keyJSON(t, nil))
	time.Sleep(1500 * time.Millisecond)
	if n := z.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func TestFaultyCredentialsRefuseToStart(t *testing.T) {
	key := keyJSON(t, nil)
	small := pkcs1(mustRSAInsecure(t))
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(k string, v any) string { return keyJSON(t, map[string]any{k: v}) }
	jwtOf := serviceuser.PrivateKeyJWT
	secretOf := func(f string) serviceuser.Credential { return serviceuser.ClientCredentials("id", f) }
	systemOf := func(f string) serviceuser.Credential { return serviceuser.SystemUser("platform", f, issuer) }
	for name, c := range map[string]struct {
		kind    func(string) serviceuser.Credential
		content string
		want    string
	}{
		"application key":    {jwtOf, with("type", "application"), "key of an application"},
		"other type":         {jwtOf, with("type", "user"), `neither "serviceaccount" nor known`},
		"no type":            {jwtOf, with("type", nil), `has no "type"`},
		"no key id":          {jwtOf, with("keyId", nil), `has no "keyId"`},
		"empty key id":       {jwtOf, with("keyId", ""), `"keyId" is empty`},
		"key id a number":    {jwtOf, with("keyId", 5), `"keyId" is no string`},
		"key id with line":   {jwtOf, with("keyId", "a\nb"), `"keyId" is no id`},
		"no user id":         {jwtOf, with("userId", nil), `has no "userId"`},
		"no key":             {jwtOf, with("key", nil), `has no "key"`},
		"key without PEM":    {jwtOf, with("key", "abc"), "no PEM block"},
		"small key":          {jwtOf, with("key", small), "1024 bits"},
		"two keys":           {jwtOf, with("key", pkcs1(testKey())+pkcs1(testKey())), "something follows"},
		"ended":              {jwtOf, with("expirationDate", "2020-01-01T00:00:00Z"), "the key key-1 ended on 2020-01-01T00:00:00Z; create a new one"},
		"bad date":           {jwtOf, with("expirationDate", "tomorrow"), "no RFC 3339 time"},
		"null date":          {jwtOf, strings.Replace(key, `"2999-01-01T00:00:00Z"`, "null", 1), `"expirationDate" is no string`},
		"member twice":       {jwtOf, strings.Replace(key, "{", `{"keyId":"other",`, 1), "stands twice"},
		"other capitals":     {jwtOf, strings.Replace(key, `"keyId"`, `"KeyID"`, 1), `has no "keyId"`},
		"trailing text":      {jwtOf, key + "x", "something follows its JSON"},
		"cut off":            {jwtOf, key[:len(key)-1], "cut off"},
		"array":              {jwtOf, "[]", "no JSON object"},
		"empty key file":     {jwtOf, "", "no JSON object"},
		"too large":          {jwtOf, strings.Repeat(" ", 65<<10), "larger than 64 KiB"},
		"empty secret":       {secretOf, "\n", "is empty"},
		"secret of lines":    {secretOf, "a\nb\n", "more than one line"},
		"secret is a key":    {secretOf, `{}`, "use private_key_jwt"},
		"long secret":        {secretOf, strings.Repeat("a", 5000), "too long"},
		"secret not UTF-8":   {secretOf, "a\xff", "characters that no client secret has"},
		"no client id":       {func(f string) serviceuser.Credential { return serviceuser.ClientCredentials("", f) }, "x", "no client id"},
		"empty PAT":          {serviceuser.PersonalAccessToken, "", "is empty"},
		"PAT with header":    {serviceuser.PersonalAccessToken, "Bearer abc", `begins with "Bearer "`},
		"PAT with lines":     {serviceuser.PersonalAccessToken, "abc\n\n", "RFC 6750"},
		"PAT is a key":       {serviceuser.PersonalAccessToken, key, "use private_key_jwt"},
		"system key missing": {systemOf, "", "no PEM block"},
		"system public key":  {systemOf, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public key"},
		"system certificate": {systemOf, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"},
		"system EC key":      {systemOf, pkcs8(t, ecKey(t)), "not RSA"},
		"system EC SEC 1":    {systemOf, "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "no RSA private key"},
		"damaged PKCS#1":     {systemOf, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "PKCS#1 private key is damaged"},
		"damaged PKCS#8":     {systemOf, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PKCS#8 private key is damaged"},
		"encrypted PKCS#8":   {systemOf, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"},
		"encrypted PKCS#1":   {systemOf, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "encrypted"},
		"system capitals":    {func(f string) serviceuser.Credential { return serviceuser.SystemUser("Platform", f, issuer) }, pkcs1(testKey()), "lower case"},
		"system nameless":    {func(f string) serviceuser.Credential { return serviceuser.SystemUser("", f, issuer) }, pkcs1(testKey()), "no system user"},
		"audience slash":     {func(f string) serviceuser.Credential { return serviceuser.SystemUser("p", f, issuer+"/") }, pkcs1(testKey()), "ends in a slash"},
		"audience path":      {func(f string) serviceuser.Credential { return serviceuser.SystemUser("p", f, issuer+"/oauth") }, pkcs1(testKey()), "more than scheme and host"},
		"no audience":        {func(f string) serviceuser.Credential { return serviceuser.SystemUser("p", f, "") }, pkcs1(testKey()), "no host"},
		"other user":         {func(f string) serviceuser.Credential { return jwtOf(f).WithUserID("7") }, key, "belongs to user 287345091734012345, expected 7"},
		"bad user id":        {func(f string) serviceuser.Credential { return jwtOf(f).WithUserID("a b") }, key, "user id"},
		"missing file":       {func(string) serviceuser.Credential { return jwtOf("/nonexistent/key.json") }, "", "/nonexistent/key.json: no such file"},
		"no file":            {func(string) serviceuser.Credential { return jwtOf("") }, "", "no file is given"},
		"a directory":        {func(f string) serviceuser.Credential { return jwtOf(filepath.Dir(f)) }, "", "no regular file"},
		"a pipe":             {func(string) serviceuser.Credential { return jwtOf(pipe) }, "", "no regular file"},
		"no credential":      {func(string) serviceuser.Credential { return serviceuser.Credential{} }, "", "no credential is given"},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, c.content)
			s, err := serviceuser.New(serviceuser.Config{Name: "reader", Issuer: mustURL(t, issuer)}, c.kind(file))
			if err == nil {
				t.Fatalf("accepted: %v", s)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `setting up service user "reader": `) {
				t.Errorf("error %q, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "MII") || strings.Contains(err.Error(), "BEGIN RSA PRIVATE KEY-----\n") {
				t.Errorf("the error repeats the file: %q", err)
			}
		})
	}
}

func TestAnUnreadableFileRefusesToStart(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(file); err == nil {
		_ = f.Close()
		t.Skip("skipped: this user reads files whatever their mode (root)")
	}
	_, err := serviceuser.New(serviceuser.Config{Name: "reader", Issuer: mustURL(t, issuer)}, serviceuser.PrivateKeyJWT(file))
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("error %v", err)
	}
}

func TestFaultyConfigurationsRefuseToStart(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	for issuerText, want := range map[string]string{
		"":                              "no host",
		"https://":                      "no host",
		"https://:8443":                 "no host",
		"id.example.com":                "no host",
		"ftp://id.example.com":          `scheme "ftp"`,
		"https://u:p4ss@id.example.com": "user information",
		"https://id.example.com/x":      "more than scheme and host",
		"https://id.example.com?x":      "more than scheme and host",
		"https://id.example.com/#x":     "more than scheme and host",
		"https://id.example.com.":       "ends in a dot",
		"https://id.example.com.:8443":  "ends in a dot",
	} {
		_, err := serviceuser.New(serviceuser.Config{Name: "reader", Issuer: mustURL(t, issuerText)}, serviceuser.PrivateKeyJWT(file))
		if err == nil || !strings.Contains(err.Error(), "the issuer: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "p4ss") {
			t.Errorf("%q: error %v, want %q", issuerText, err, want)
		}
		_, err = serviceuser.New(serviceuser.Config{Name: "reader", Issuer: mustURL(t, issuer), Address: mustURL(t, issuerText)}, serviceuser.PrivateKeyJWT(file))
		if err == nil || !strings.Contains(err.Error(), "the address: ") {
			t.Errorf("address %q: error %v", issuerText, err)
		}
	}
	if _, err := serviceuser.New(serviceuser.Config{Name: "reader"}, serviceuser.PrivateKeyJWT(file)); err == nil {
		t.Error("a key without an issuer was accepted")
	}
	if _, err := serviceuser.New(serviceuser.Config{Issuer: mustURL(t, issuer)}, serviceuser.PrivateKeyJWT(file)); err == nil {
		t.Error("a nameless service user was accepted")
	}
}
