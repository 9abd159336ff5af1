package project_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestFilesHaveAtMost400Lines(t *testing.T) {
	generated := regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	files := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if lines := bytes.Count(text, []byte("\n")); lines > 400 && !generated.Match(text) {
			t.Errorf("%s has %d lines; split it by nouns", path, lines)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files, %v", files, err)
	}
}

func TestWhatTheREADMERunsExists(t *testing.T) {
	readme, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for i, block := range strings.Split(string(readme), "```") {
		if i%2 == 0 || strings.HasPrefix(block, "yaml") {
			continue
		}
		for line := range strings.Lines(block) {
			words := strings.Fields(line)
			switch {
			case len(words) > 2 && words[0] == "go" && words[1] == "run":
				commands++
				if files, _ := filepath.Glob(filepath.Join(root, words[2], "*.go")); len(files) == 0 {
					t.Errorf("README runs %s, which has no Go files", words[2])
				}
			case len(words) > 1 && words[0] == "make":
				commands++
				if !bytes.Contains(makefile, []byte("\n"+words[1]+":")) {
					t.Errorf("README makes %s, which the Makefile does not have", words[1])
				}
			}
		}
	}
	if commands == 0 {
		t.Error("README has no command")
	}
}
