package deploytest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// units are the unit files, with the program where it was built.
func units(t *testing.T) (service, socket string) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not here: install Debian's package systemd")
	}
	dir := t.TempDir()
	for _, name := range []string{"zproxy.service", "zproxy.socket"} {
		text := bytes.ReplaceAll(read(t, "deploy/systemd/"+name), []byte("/usr/bin/zproxy"), []byte(zproxy))
		check(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return filepath.Join(dir, "zproxy.service"), filepath.Join(dir, "zproxy.socket")
}

func TestUnitsAreWithoutFault(t *testing.T) {
	service, socket := units(t)
	if said := run(t, nil, "systemd-analyze", "verify", "--man=no", service, socket); strings.Contains(said, "zproxy") {
		t.Errorf("systemd-analyze verify says\n%s", said)
	}
}

// systemd's measure goes from 0 to 10; a service without any protection has 9.6.
func TestTheServiceIsExposedToLittle(t *testing.T) {
	service, _ := units(t)
	said := run(t, nil, "systemd-analyze", "security", "--no-pager", "--offline=true", service)
	m := regexp.MustCompile(`Overall exposure level for zproxy\.service: ([0-9.]+)`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("systemd-analyze security says\n%s", said)
	}
	if exposure, err := strconv.ParseFloat(m[1], 64); err != nil || exposure > 1.5 {
		t.Errorf("the exposure is %s, want 1.5 at most\n%s", m[1], said)
	}
}

// directives are the values of each key of a unit file.
func directives(t *testing.T, name string) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for line := range strings.Lines(string(read(t, "deploy/systemd/"+name))) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			all[key] = append(all[key], value)
		}
	}
	return all
}

// What the packaged configuration names, the unit provides.
func TestTheServiceProvidesWhatItsConfigurationNames(t *testing.T) {
	service, socket := directives(t, "zproxy.service"), directives(t, "zproxy.socket")
	cfg := parseConfiguration(t, read(t, "configs/systemd.yaml"))
	for _, file := range cfg.files() {
		switch dir, name := filepath.Split(file); dir {
		case "/run/credentials/zproxy.service/":
			if !slices.ContainsFunc(service["LoadCredential"], func(c string) bool { return strings.HasPrefix(c, name+":/etc/zproxy/") }) {
				t.Errorf("no LoadCredential= for %s", file)
			}
		case "/etc/zproxy/tls/", "/var/log/zproxy/":
		default:
			t.Errorf("the service cannot reach %s", file)
		}
	}
	named := socket["FileDescriptorName"][0]
	for _, l := range cfg.Listeners {
		if l.Name == named && strings.HasSuffix(l.Address, ":"+socket["ListenStream"][0]) {
			return
		}
	}
	t.Errorf("no listener is called %s at port %s", named, socket["ListenStream"][0])
}
