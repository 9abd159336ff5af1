package deploytest_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tarball is a tar archive: contents and modes with owners by path.
func tarball(t *testing.T, packed []byte) (contents map[string][]byte, modes map[string]string) {
	t.Helper()
	contents, modes = make(map[string][]byte), make(map[string]string)
	for r := tar.NewReader(bytes.NewReader(packed)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return contents, modes
		}
		check(t, err)
		name := strings.Trim(h.Name, "/")
		contents[name], err = io.ReadAll(r)
		check(t, err)
		modes[name] = fmt.Sprintf("%04o %d:%d", h.Mode&0o7777, h.Uid, h.Gid)
	}
}

// The script runs the program of the image it built, and compares its version.
func TestImage(t *testing.T) {
	archive := filepath.Join(root, "bin/image.tar")
	if err := os.Remove(archive); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	said := run(t, []string{"IMAGE=zproxy:test", "VERSION=1.2.3-test", "REVISION=0123456789abcdef", "SOURCE_DATE_EPOCH=1767323045"}, "deploy/image/build")
	t.Log(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:])
	packed, err := os.ReadFile(archive)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no archive of an image was written: without buildah there is only the image itself, or none")
	}
	check(t, err)
	files, _ := tarball(t, packed)
	var manifest []struct {
		Config string
		Layers []string
	}
	check(t, json.Unmarshal(files["manifest.json"], &manifest))
	checkImageConfig(t, files[manifest[0].Config])
	layer, modes := make(map[string][]byte), make(map[string]string)
	for _, name := range manifest[0].Layers {
		content, mode := tarball(t, files[name])
		maps.Copy(layer, content)
		maps.Copy(modes, mode)
	}
	want := map[string]string{
		"zproxy": "0755 0:0", "etc": "0755 0:0", "etc/zproxy": "0755 0:0", "etc/ssl": "0755 0:0", "etc/ssl/certs": "0755 0:0",
		"etc/ssl/certs/ca-certificates.crt": "0644 0:0", "var": "0755 0:0", "var/lib": "0755 0:0", "var/lib/zproxy": "0700 65532:65532",
	}
	if !maps.Equal(modes, want) {
		for _, name := range slices.Sorted(maps.Keys(modes)) {
			t.Logf("%s %s", modes[name], name)
		}
		t.Error("the image holds other files, modes or owners")
	}
	own, err := os.ReadFile(zproxy)
	check(t, err)
	if !bytes.Equal(layer["zproxy"], own) {
		t.Error("the program in the image is not the one that is built outside it")
	}
}

func checkImageConfig(t *testing.T, text []byte) {
	t.Helper()
	var image struct {
		Created string
		Config  struct {
			User            string
			Entrypoint, Cmd []string
			Labels          map[string]string
			Healthcheck     struct{ Test []string }
		}
	}
	check(t, json.Unmarshal(text, &image))
	c := image.Config
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/zproxy"}) || !slices.Equal(c.Cmd, []string{"run", "--config", "/etc/zproxy/zproxy.yaml"}) {
		t.Errorf("the image runs %q %q as %q", c.Entrypoint, c.Cmd, c.User)
	}
	if !slices.Equal(c.Healthcheck.Test, []string{"CMD", "/zproxy", "health"}) {
		t.Errorf("its health check is %q", c.Healthcheck.Test)
	}
	if c.Labels["org.opencontainers.image.version"] != "1.2.3-test" || c.Labels["org.opencontainers.image.revision"] != "0123456789abcdef" {
		t.Errorf("its labels are %q", c.Labels)
	}
	if image.Created != "2026-01-02T03:04:05Z" {
		t.Errorf("it was made %s, want the time of the commit", image.Created)
	}
}
