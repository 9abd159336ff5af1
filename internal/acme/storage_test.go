package acme_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/zproxy/zproxy/internal/acme"
)

// files returns what lies in a storage, by path.
func files(t *testing.T, root string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	}))
	return all
}

func TestKeysAreForTheirOwnerAloneAndInNoLog(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	c := e.config(a)
	m := mustNew(t, c)
	e.serve(m)
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	keys := 0
	for path, text := range files(t, c.Storage) {
		info, err := os.Stat(path)
		check(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode().Perm())
		}
		if !bytes.Contains(text, []byte("PRIVATE KEY")) {
			continue
		}
		keys++
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-") && strings.Contains(e.log.String(), line) {
				t.Errorf("a line of %s is in the log", filepath.Base(path))
			}
		}
	}
	if keys != 2 {
		t.Errorf("%d keys are stored, want the account's and the host's", keys)
	}
	log := e.log.String()
	for _, want := range []string{`"level":"debug"`, `"level":"info"`, "certificate obtained successfully", "a new certificate is served"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	for _, unwanted := range []string{"PRIVATE KEY", "Replay-Nonce", "token"} {
		if strings.Contains(log, unwanted) {
			t.Errorf("the log has %s", unwanted)
		}
	}
}

// A crash between two writes leaves a certificate beside the key of another, or
// half a file.
func TestAStoredCertificateThatIsUnusableIsReplaced(t *testing.T) {
	spoilt := map[string]func(t *testing.T, cert, key string){
		"key of another": func(t *testing.T, _, key string) {
			other, err := certmagic.PEMEncodePrivateKey(newCA(t, "x").key)
			check(t, err)
			check(t, os.WriteFile(key, other, 0o600))
		},
		"half a certificate": func(t *testing.T, cert, _ string) { check(t, os.Truncate(cert, 100)) },
		"empty key":          func(t *testing.T, _, key string) { check(t, os.Truncate(key, 0)) },
		"no key":             func(t *testing.T, _, key string) { check(t, os.Remove(key)) },
	}
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			a := newAuthority(t, e.port(), authorityOptions{})
			c := e.config(a)
			stored(t, c, newCA(t, "old").server(t, host), host)
			key := certmagic.NewACMEIssuer(new(certmagic.Config), certmagic.ACMEIssuer{CA: c.Directory}).IssuerKey()
			spoil(t, filepath.Join(c.Storage, certmagic.StorageKeys.SiteCert(key, host)),
				filepath.Join(c.Storage, certmagic.StorageKeys.SitePrivateKey(key, host)))
			m := mustNew(t, c)
			e.serve(m)
			if s := m.Status()[0]; s.Err == nil || ready(m)() {
				t.Errorf("before Run: %+v", s)
			}
			run(t, m)
			until(t, "a certificate", 30*time.Second, ready(m))
			_, err := e.get(a.roots(0), host)
			check(t, err)
		})
	}
}

func TestACertificateOfAnotherHostIsNotServed(t *testing.T) {
	c := acme.Config{Hosts: []string{host}, Directory: "https://127.0.0.1:1/dir", Storage: filepath.Join(t.TempDir(), "acme")}
	stored(t, c, newCA(t, "old").server(t, "other.example.com"), host)
	if s := mustNew(t, c).Status()[0]; s.Err == nil || !s.NotAfter.IsZero() {
		t.Errorf("the status is %+v", s)
	}
}

// Two processes behind one name share a storage: the authority may check either,
// and one order is enough for both.
func TestProcessesThatShareAStorageShareOneCertificate(t *testing.T) {
	reached, unreached := newEdge(t), newEdge(t)
	a := newAuthority(t, reached.port(), authorityOptions{})
	c := unreached.config(a)
	first, second := mustNew(t, c), mustNew(t, c)
	unreached.serve(first)
	reached.serve(second)
	run(t, first)
	run(t, second)
	until(t, "both have a certificate", 30*time.Second, func() bool { return ready(first)() && ready(second)() })
	one, err := unreached.get(a.roots(0), host)
	check(t, err)
	two, err := reached.get(a.roots(0), host)
	check(t, err)
	if !one[0].Equal(two[0]) {
		t.Error("they serve different certificates")
	}
	if n := strings.Count(unreached.log.String(), "certificate obtained successfully"); n != 1 {
		t.Errorf("%d certificates were obtained", n)
	}
}
