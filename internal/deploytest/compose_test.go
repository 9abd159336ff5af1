package deploytest_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func loadCompose(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithProfiles(profiles), cli.WithResolvedPaths(true))
	check(t, err)
	p, err := o.LoadProject(t.Context())
	check(t, err)
	return p
}

func TestComposeStartsEachServiceAfterWhatItNeeds(t *testing.T) {
	p := loadCompose(t)
	for service, needs := range map[string]map[string]string{
		"zitadel":        {"database": types.ServiceConditionHealthy, "certificates": types.ServiceConditionCompletedSuccessfully},
		"zitadel-serves": {"zitadel": types.ServiceConditionHealthy},
		"bootstrap":      {"zitadel-serves": types.ServiceConditionCompletedSuccessfully},
		"zproxy":         {"bootstrap": types.ServiceConditionCompletedSuccessfully},
		"crm":            {"zproxy": types.ServiceConditionHealthy},
		"batch":          {"zproxy": types.ServiceConditionHealthy},
	} {
		s, err := p.GetService(service)
		check(t, err)
		for need, condition := range needs {
			if got := s.DependsOn[need].Condition; got != condition {
				t.Errorf("%s waits for %s to be %q, want %q", service, need, got, condition)
			}
		}
	}
	if got := len(loadCompose(t, "monitoring").Services) - len(p.Services); got != 2 {
		t.Errorf("the profile monitoring adds %d services, want prometheus and grafana", got)
	}
}

// documented are the keys of ZITADEL's environment that its files and
// documentation name.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/zitadel-environment.txt")
	check(t, err)
	var keys []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] != "#" {
			keys = append(keys, fields[0])
		}
	}
	return keys
}

func TestComposeSetsOnlyWhatZITADELDocuments(t *testing.T) {
	s, err := loadCompose(t).GetService("zitadel")
	check(t, err)
	known := documented(t)
	for key := range s.Environment {
		if !slices.Contains(known, key) {
			t.Errorf("ZITADEL documents no %s", key)
		}
	}
	for _, key := range known {
		if _, ok := s.Environment[key]; !ok {
			t.Errorf("the list has %s, which is not set", key)
		}
	}
	if !strings.HasPrefix(s.Image, "ghcr.io/zitadel/zitadel:v") {
		t.Errorf("%s is no release", s.Image)
	}
}

// The administrator's token is for bootstrap, once; callers reach zproxy and no more.
func TestComposeKeepsTheAdministratorsTokenAndZITADELApart(t *testing.T) {
	p := loadCompose(t, "monitoring")
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Source == "administrator" && name != "zitadel" && name != "bootstrap" {
				t.Errorf("%s sees the administrator's token", name)
			}
		}
		_, zitadel := s.Networks["zitadel"]
		_, callers := s.Networks["callers"]
		if zitadel && callers && name != "zproxy" {
			t.Errorf("%s reaches ZITADEL and is a caller", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s is open beyond this machine: %+v", name, port)
			}
		}
		if strings.HasSuffix(s.Image, ":latest") || !strings.Contains(s.Image, ":") {
			t.Errorf("%s runs %q, which is not pinned", name, s.Image)
		}
		ours := s.Build != nil
		if ours && (!s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true")) {
			t.Errorf("%s may do more than it needs", name)
		}
	}
}

// What is mounted is there, and what the configuration names is in a volume.
func TestComposeMountsWhatTheConfigurationNames(t *testing.T) {
	p := loadCompose(t, "monitoring")
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		}
	}
	cfg := composeConfiguration(t)
	zitadel, err := p.GetService("zitadel")
	check(t, err)
	value := func(key string) string { return *zitadel.Environment[key] }
	if origin := "http://" + value("ZITADEL_EXTERNALDOMAIN") + ":" + value("ZITADEL_EXTERNALPORT"); cfg.Upstream.Issuer != origin || value("ZITADEL_EXTERNALSECURE") != "false" {
		t.Errorf("the issuer is %s, ZITADEL's origin %s", cfg.Upstream.Issuer, origin)
	}
	service, err := p.GetService("zproxy")
	check(t, err)
	for _, file := range cfg.files() {
		if !slices.ContainsFunc(service.Volumes, func(v types.ServiceVolumeConfig) bool { return strings.HasPrefix(file, v.Target+"/") }) {
			t.Errorf("no volume of zproxy has %s", file)
		}
	}
	subnet := p.Networks["callers"].Ipam.Config[0].Subnet
	for _, l := range cfg.Listeners {
		if l.AllowFrom != nil && !slices.Equal(l.AllowFrom, []string{subnet}) {
			t.Errorf("listener %s allows %q, the callers' network is %s", l.Name, l.AllowFrom, subnet)
		}
		if port := l.Address[strings.LastIndexByte(l.Address, ':')+1:]; !slices.ContainsFunc(service.Ports, func(c types.ServicePortConfig) bool { return c.Published == port }) {
			t.Errorf("listener %s at %s is not published", l.Name, l.Address)
		}
	}
}
