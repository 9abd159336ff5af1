package project_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

// blocks are the fenced blocks of a language in the README.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for rest := string(text); ; {
		_, after, ok := strings.Cut(rest, "```"+language+"\n")
		if !ok {
			break
		}
		block, tail, _ := strings.Cut(after, "```")
		found, rest = append(found, block), tail
	}
	if len(found) == 0 {
		t.Fatalf("the README has no %s block", language)
	}
	return found
}

func TestConfigurationsInTheREADMELoad(t *testing.T) {
	for _, block := range blocks(t, "yaml") {
		cfg, err := config.Parse("README.md", []byte(block))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if _, _, err := gateway.Rules(cfg, time.Now()); err != nil {
			t.Error(err)
		}
	}
}

func TestAuditRecordInTheREADMEIsOne(t *testing.T) {
	for _, block := range blocks(t, "json") {
		if _, err := audit.ReadAll(strings.NewReader(block)); err != nil {
			t.Error(err)
		}
	}
}
