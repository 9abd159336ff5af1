package confine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/confine"
)

func TestWhatIsOutOfReachIsToldBeforeItIsTried(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"read/below", "write", "other", "store"} {
		if err := os.MkdirAll(at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"read/leads-out": at("other/file"), "other/leads-in": at("read/file")} {
		if err := os.WriteFile(to, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	limits := confine.LimitsOf(confine.Files{Read: []string{at("read/a"), ""}, Write: []string{at("write/log")}, WriteDirs: []string{at("store")}})
	for _, c := range []struct {
		what  string
		files confine.Files
		ok    bool
	}{
		{"the same", confine.Files{Read: []string{at("read/a"), ""}, Write: []string{at("write/log")}, WriteDirs: []string{at("store")}}, true},
		{"beside them", confine.Files{Read: []string{at("read/b"), at("write/b"), at("read/below/c")}, Write: []string{at("write/b")}, WriteDirs: []string{at("store/b")}}, true},
		{"the system's authorities", confine.Files{Read: []string{"/etc/ssl/certs/ca.pem"}}, true},
		{"a link that leads in", confine.Files{Read: []string{at("other/leads-in")}}, true},
		{"another directory", confine.Files{Read: []string{at("other/file")}}, false},
		{"a name that begins alike", confine.Files{Read: []string{at("readable/file")}}, false},
		{"a link that leads out", confine.Files{Read: []string{at("read/leads-out")}}, false},
		{"a way up", confine.Files{Read: []string{at("read/../other/file")}}, false},
		{"writing what may be read", confine.Files{Write: []string{at("read/a")}}, false},
		{"storing elsewhere", confine.Files{WriteDirs: []string{at("other")}}, false},
	} {
		err := limits.Permit(c.files)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "restart zproxy") {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
