package policy_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/zproxy/zproxy/policy"
)

var update = flag.Bool("update", false, "write the messages of testdata/bad")

// Each file of testdata/bad is a set of rules with one fault or several; the
// .txt beside it is the whole message.
func TestBrokenRulesSayWhatIsWrongAndTheFix(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var rules []policy.Rule
			if err := yaml.UnmarshalWithOptions(text, &rules, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			p, err := policy.Compile(newCatalogue(), rules)
			var faults policy.Faults
			if p != nil || !errors.As(err, &faults) {
				t.Fatalf("got %v, %v", p, err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if err.Error()+"\n" != string(want) {
				t.Errorf("got:\n%v\nwant:\n%s", err, want)
			}
		})
	}
}
