package deploytest_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
	"sigs.k8s.io/yaml"
)

func loadRelease(t *testing.T) config.Project {
	t.Helper()
	p, err := config.Load(filepath.Join(root, ".goreleaser.yaml"))
	check(t, err)
	return p
}

// A release is built with the flags of `make build`, so that anybody can repeat it.
func TestReleaseIsBuiltAsMakeBuilds(t *testing.T) {
	build := loadRelease(t).Builds[0]
	makefile := string(read(t, "Makefile"))
	for _, flag := range append(slices.Clone([]string(build.Flags)), build.Env...) {
		if !strings.Contains(makefile, flag) {
			t.Errorf("make build has no %s", flag)
		}
	}
	want := strings.NewReplacer("{{ .Version }}", "$(VERSION)", "{{ .FullCommit }}", "$(REVISION)").Replace(build.Ldflags[0])
	if !strings.Contains(makefile, "-ldflags '"+want+"'") {
		t.Errorf("make build has other linker flags than %s", want)
	}
}

func TestReleaseHasChecksumsSignaturesSBOMsAndPackages(t *testing.T) {
	p := loadRelease(t)
	if len(p.Signs) != 1 || p.Signs[0].Cmd != "cosign" || p.Signs[0].Artifacts != "checksum" {
		t.Errorf("signatures: %+v", p.Signs)
	}
	if len(p.SBOMs) != 2 || p.Checksum.Algorithm != "sha256" || p.Changelog.Disable != "true" {
		t.Errorf("SBOMs %+v, checksums %+v, changelog %+v", p.SBOMs, p.Checksum, p.Changelog)
	}
	for _, pattern := range p.Archives[0].Files {
		if found, err := filepath.Glob(filepath.Join(root, pattern.Source)); err != nil || len(found) == 0 {
			t.Errorf("archives would lack %s", pattern.Source)
		}
	}
}

// The packages of a release and of `make packages` are the same.
func TestReleasePackagesAreThoseOfMake(t *testing.T) {
	own, err := nfpm.ParseFileWithEnvMapping(filepath.Join(root, "deploy/package/nfpm.yaml"), func(key string) string { return key })
	check(t, err)
	released := loadRelease(t).NFPMs[0]
	var one, two []string
	for _, c := range own.Contents {
		if c.Destination != "/usr/bin/zproxy" { // goreleaser adds its own
			one = append(one, describe(c.Source, c.Destination, c.Type, c.FileInfo.Mode))
		}
	}
	for _, c := range released.Contents {
		two = append(two, describe(c.Source, c.Destination, c.Type, c.FileInfo.Mode))
	}
	if !slices.Equal(one, two) {
		t.Errorf("make packages\n%s\nthe release\n%s", strings.Join(one, "\n"), strings.Join(two, "\n"))
	}
	if own.Description != released.Description || own.Maintainer != released.Maintainer || own.License != released.License {
		t.Errorf("they describe themselves otherwise")
	}
}

func describe(source, destination, kind string, mode fs.FileMode) string {
	return fmt.Sprintf("%s %s %s %o", source, destination, kind, mode)
}

func TestReleaseNotesAreTheChangelogs(t *testing.T) {
	if notes := run(t, nil, "make", "--no-print-directory", "release-notes", "VERSION=Unreleased"); !strings.HasPrefix(notes, "### Added\n") {
		t.Errorf("the notes are %q", notes)
	}
	if notes := run(t, nil, "make", "--no-print-directory", "release-notes", "VERSION=0.0.0"); notes != "" {
		t.Errorf("a version that is not there has notes %q", notes)
	}
}

// What signs in zproxy's name is named by commit, and runs no tests.
func TestReleaseWorkflowTrustsNoMovableTag(t *testing.T) {
	var workflow struct {
		Permissions map[string]string `json:"permissions"`
		Jobs        map[string]struct {
			Needs       string            `json:"needs"`
			Permissions map[string]string `json:"permissions"`
			Steps       []struct {
				Uses string `json:"uses"`
				Run  string `json:"run"`
			} `json:"steps"`
		} `json:"jobs"`
	}
	check(t, yaml.Unmarshal(read(t, ".github/workflows/release.yaml"), &workflow))
	if len(workflow.Permissions) != 0 || len(workflow.Jobs) != 2 || workflow.Jobs["release"].Needs != "check" {
		t.Errorf("the workflow is %+v", workflow)
	}
	commit := regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}$`)
	for name, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if step.Uses != "" && !commit.MatchString(step.Uses) {
				t.Errorf("job %s uses %s, which is no commit", name, step.Uses)
			}
			if tests := strings.Contains(step.Run, ".ci/run"); tests && (len(job.Permissions) != 1 || job.Permissions["contents"] != "read") {
				t.Errorf("job %s runs tests with %v", name, job.Permissions)
			}
		}
	}
}
