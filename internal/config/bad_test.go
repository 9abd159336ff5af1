package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/config"
)

var update = flag.Bool("update", false, "write the messages of testdata/bad")

// Each file of testdata/bad has the fault of its name; the .txt beside it is
// the whole message.
func TestFaultyFilesSayWhereWhatAndTheFix(t *testing.T) {
	files := badFiles(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			faults := faultsOf(t, file)
			got := faults.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestEveryFaultHasAPlaceAndAFix(t *testing.T) {
	for _, file := range badFiles(t) {
		for _, f := range faultsOf(t, file) {
			if f.Line < 1 || f.Column < 1 || f.Message == "" || f.Fix == "" {
				t.Errorf("%s: line %d, column %d, message %q, fix %q", file, f.Line, f.Column, f.Message, f.Fix)
			}
		}
	}
}

func TestFaultsNeverRepeatASecret(t *testing.T) {
	secrets := 0
	for _, file := range badFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "hunter2") {
			continue
		}
		secrets++
		if message := faultsOf(t, file).Error(); strings.Contains(message, "hunter2") {
			t.Errorf("%s: %s", file, message)
		}
	}
	if secrets < 4 {
		t.Errorf("%d files with a secret", secrets)
	}
}

func badFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

// faultsOf parses file, which must be refused, under its bare name.
func faultsOf(t *testing.T, file string) config.Faults {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(filepath.Base(file), text)
	var faults config.Faults
	if c != nil || !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("%s: got %v, %v", file, c, err)
	}
	return faults
}
