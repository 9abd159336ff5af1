package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/config"
)

// FuzzParse: no file makes Parse panic; each is either refused with faults that
// have a place, or read the same a second time.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../../configs/*.yaml", "testdata/*.yaml", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("f.yaml", text)
		if err != nil {
			var faults config.Faults
			if c != nil || !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%v, %v", c, err)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
					t.Fatalf("%+v", fault)
				}
				if strings.Contains(fault.Excerpt, "\n") {
					t.Fatalf("excerpt of several lines: %q", fault.Excerpt)
				}
			}
			return
		}
		again, err := config.Parse("f.yaml", text)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("a second reading differs: %v", err)
		}
		if len(c.Listeners) == 0 || len(c.Rules) == 0 || c.Upstream.Issuer == nil || c.Audit.File == "" {
			t.Fatalf("accepted without a required part: %+v", c)
		}
	})
}
