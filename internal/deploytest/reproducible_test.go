package deploytest_test

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The same source gives the same program in another directory, of another name.
func TestTheSameSourceGivesTheSameProgram(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "another name")
	copySource(t, elsewhere)
	t.Chdir(elsewhere)
	other := filepath.Join(t.TempDir(), "zproxy")
	run(t, nil, "make", "-C", elsewhere, "--no-print-directory", "build", "BINARY="+other, "VERSION=1.2.3-test", "REVISION=0123456789abcdef")
	one, err := os.ReadFile(zproxy)
	check(t, err)
	two, err := os.ReadFile(other)
	check(t, err)
	if !bytes.Equal(one, two) {
		t.Errorf("%d and %d bytes differ", len(one), len(two))
	}
	for _, path := range []string{elsewhere, os.Getenv("HOME") + "/go"} {
		if bytes.Contains(two, []byte(path)) {
			t.Errorf("the program tells that it was built of %s", path)
		}
	}
}

func copySource(t *testing.T, to string) {
	t.Helper()
	from, err := filepath.Abs(root)
	check(t, err)
	for name := range strings.SplitSeq(strings.TrimSuffix(run(t, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) { // removed, and not committed yet
			continue
		}
		check(t, err)
		check(t, os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o750))
		check(t, os.WriteFile(filepath.Join(to, name), text, 0o600))
	}
}

func TestTheProgramIsStaticAndTellsItsVersion(t *testing.T) {
	f, err := elf.Open(zproxy)
	check(t, err)
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	check(t, err)
	if len(libraries) > 0 || f.Section(".interp") != nil {
		t.Errorf("it needs %q", libraries)
	}
	if said := run(t, nil, zproxy, "version"); !strings.HasPrefix(said, "zproxy 1.2.3-test (0123456789abcdef), go1.") {
		t.Errorf("it says %q", said)
	}
}
