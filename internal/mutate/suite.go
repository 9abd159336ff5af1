package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// source is a file and the decisions in it.
type source struct {
	name, path, pkg string
	text            []byte
	mutants         []mutant
}

func read(files []string) ([]source, error) {
	var all []source
	for _, name := range files {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		pkg, mutants, err := mutantsOf(name, text)
		if err != nil {
			return nil, err
		}
		all = append(all, source{name, path, pkg, text, mutants})
	}
	return all, nil
}

// suite is the compiled tests of the package in dir.
type suite struct{ dir, binary string }

// near has the tests of the file's own package first: they notice most.
func near(suites []suite, path string) []suite {
	var own, others []suite
	for _, s := range suites {
		if s.dir == filepath.Dir(path) {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	return append(own, others...)
}

// compile writes the mutants into dir and builds the tests with them.
func compile(dir string, tests []string, all []source) ([]suite, error) {
	replaced, first := map[string]string{}, 1
	put := func(path, text string) error {
		at := filepath.Join(dir, fmt.Sprintf("%d.go", len(replaced)))
		replaced[path] = at
		return os.WriteFile(at, []byte(text), 0o600)
	}
	for _, f := range all {
		if err := put(f.path, switched(f.text, f.mutants, first)); err != nil {
			return nil, err
		}
		first += len(f.mutants)
		number := filepath.Join(filepath.Dir(f.path), "mutant_number.go")
		if replaced[number] != "" {
			continue
		}
		if err := put(number, numbers(f.pkg)); err != nil {
			return nil, err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return nil, err
	}
	out, err := exec.Command("go", append([]string{"list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}"}, tests...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list %v: %w", tests, err)
	}
	var suites []suite
	for i, at := range strings.Fields(string(out)) {
		s := suite{at, filepath.Join(dir, fmt.Sprintf("%d.test", i))}
		if text, err := exec.Command("go", "test", "-c", "-overlay", list, "-o", s.binary, s.dir).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot compile the mutants into %s: %w\n%s", s.dir, err, text)
		}
		suites = append(suites, s)
	}
	return suites, nil
}
