package deploytest_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blakesmith/ar"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"github.com/klauspost/compress/gzip"
	"github.com/sassoftware/go-rpmutils"
)

// pack builds a package as `make packages` does.
func pack(t *testing.T, format string) []byte {
	t.Helper()
	t.Chdir(root)
	environment := map[string]string{"VERSION": "1.2.3", "GOARCH": "amd64", "BINARY": zproxy}
	cfg, err := nfpm.ParseFileWithEnvMapping(filepath.Join("deploy", "package", "nfpm.yaml"), func(key string) string { return environment[key] })
	check(t, err)
	info, err := cfg.Get(format)
	check(t, err)
	check(t, nfpm.PrepareForPackager(info, format))
	packager, err := nfpm.Get(format)
	check(t, err)
	var out bytes.Buffer
	check(t, packager.Package(nfpm.WithDefaults(info), &out))
	return out.Bytes()
}

// layout is what packages hold, by path; the mode is in octal.
func layout() map[string]string {
	return map[string]string{
		"/usr/bin/zproxy":                        "0755",
		"/usr/lib/systemd/system/zproxy.service": "0644",
		"/usr/lib/systemd/system/zproxy.socket":  "0644",
		"/etc/zproxy/zproxy.yaml":                "0644",
		"/etc/zproxy/keys":                       "0700",
		"/etc/zproxy/tls":                        "0755",
		"/usr/share/zproxy/zproxy.schema.json":   "0644",
		"/usr/share/doc/zproxy/README.md":        "0644",
		"/usr/share/doc/zproxy/CHANGELOG.md":     "0644",
		"/usr/share/doc/zproxy/copyright":        "0644",
	}
}

func compare(t *testing.T, got map[string]string) {
	t.Helper()
	if want := layout(); !maps.Equal(got, want) {
		for _, name := range slices.Sorted(maps.Keys(got)) {
			t.Logf("%s %s", got[name], name)
		}
		t.Errorf("the package holds %d entries, want %d, or another mode", len(got), len(want))
	}
}

// archive is a tar.gz of a Debian package: modes and contents by path.
func archive(t *testing.T, packed io.Reader) (modes map[string]string, contents map[string]string) {
	t.Helper()
	unzipped, err := gzip.NewReader(packed)
	check(t, err)
	modes, contents = make(map[string]string), make(map[string]string)
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return modes, contents
		}
		check(t, err)
		name := "/" + strings.Trim(strings.TrimPrefix(h.Name, "."), "/")
		if h.Uname != "root" && h.Uname != "" || h.Uid != 0 {
			t.Errorf("%s belongs to %s (%d)", name, h.Uname, h.Uid)
		}
		text, err := io.ReadAll(r)
		check(t, err)
		modes[name], contents[name] = fmt.Sprintf("%04o", h.Mode&0o7777), string(text)
	}
}

func TestDebianPackage(t *testing.T) {
	members := make(map[string][]byte)
	for r := ar.NewReader(bytes.NewReader(pack(t, "deb"))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		content, err := io.ReadAll(r)
		check(t, err)
		members[strings.TrimSuffix(h.Name, "/")] = content
	}
	modes, _ := archive(t, bytes.NewReader(members["data.tar.gz"]))
	for name := range modes { // directories on the way belong to other packages too
		if _, ok := layout()[name]; !ok && slices.ContainsFunc(slices.Collect(maps.Keys(layout())), func(ours string) bool { return strings.HasPrefix(ours, strings.TrimSuffix(name, "/")+"/") }) {
			delete(modes, name)
		}
	}
	compare(t, modes)
	_, control := archive(t, bytes.NewReader(members["control.tar.gz"]))
	if control["/conffiles"] != "/etc/zproxy/zproxy.yaml\n" {
		t.Errorf("conffiles are %q", control["/conffiles"])
	}
	for _, line := range []string{"Package: zproxy\n", "Version: 1.2.3\n", "Architecture: amd64\n", "Recommends: ca-certificates\n"} {
		if !strings.Contains(control["/control"], line) {
			t.Errorf("control has no %q:\n%s", line, control["/control"])
		}
	}
	for _, script := range []string{"/postinst", "/prerm", "/postrm"} {
		if !strings.HasPrefix(control[script], "#!/bin/sh\n") {
			t.Errorf("%s is %q", script, control[script])
		}
	}
}

func TestRPMPackage(t *testing.T) {
	r, err := rpmutils.ReadRpm(bytes.NewReader(pack(t, "rpm")))
	check(t, err)
	files, err := r.Header.GetFiles()
	check(t, err)
	modes := make(map[string]string)
	for _, f := range files {
		if f.UserName() != "root" {
			t.Errorf("%s belongs to %s", f.Name(), f.UserName())
		}
		modes[f.Name()] = fmt.Sprintf("%04o", f.Mode()&0o7777)
	}
	compare(t, modes)
}
