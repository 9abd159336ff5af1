package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestExitCodes(t *testing.T) {
	const good = "../../configs/minimal.yaml" // whose key file is absent
	faulty := filepath.Join(t.TempDir(), "faulty.yaml")
	if err := os.WriteFile(faulty, []byte("version: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		args []string
	}{
		{0, []string{"version"}},
		{0, []string{"--help"}},
		{0, []string{"operations", "--service", "UserService"}},
		{0, []string{"explain", "--config", good, "--listener", "local", "UserService/ListUsers"}},
		{1, []string{"explain", "--config", good, "--listener", "local", "UserService/AddKey"}},
		{1, []string{"check", "--offline", "--config", good}},
		{1, []string{"run", "--config", good}},
		{1, []string{"operations", "no-such-thing"}},
		{1, []string{"health", "http://127.0.0.1:1/readyz"}},
		{2, []string{"health", "readyz"}},
		{2, []string{"check", "--offline", "--config", faulty}},
		{2, []string{"check", "--offline", "--config", faulty, "--json"}},
		{2, []string{"check", "--config", "absent.yaml"}},
		{2, []string{"run", "--config", faulty}},
		{2, []string{"run"}},
		{2, []string{"run", "--nope"}},
		{2, []string{"operations", "--changes", "--reads"}},
		{2, []string{"explain", "--config", good, "--caller", "me", "UserService/ListUsers"}},
		{2, []string{"nope"}},
	} {
		if code := execute(c.args, io.Discard, io.Discard); code != c.code {
			t.Errorf("%q: exit code %d, want %d", c.args, code, c.code)
		}
	}
}

func TestExamplesHaveRulesThatCompile(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	files = append(files, "../../configs/compose/zproxy.yaml", "../../docs/examples/login-v2/zproxy.yaml", "../../docs/examples/terraform/zproxy.yaml")
	for _, file := range files {
		if filepath.Base(file) == "alerts.yaml" { // Prometheus's
			continue
		}
		// A denied request is exit code 1; rules that do not compile are 2.
		if code := execute([]string{"explain", "--config", file, "--caller", "unix:nobody", "UserService/ListUsers"}, io.Discard, io.Discard); code != exitFailed {
			t.Errorf("%s: exit code %d", file, code)
		}
	}
}
