// Command mutate turns the decisions of given Go files round, one at a time,
// and runs tests against each: a mutant that passes is a decision that no test
// looks at. It changes nothing on disk.
//
//	go run ./internal/mutate -tests ./policy/... policy/decide.go policy/guard.go
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	tests := flag.String("tests", "./...", "packages whose tests have to notice, separated by blanks")
	flag.Parse()
	survivors, total, err := run(strings.Fields(*tests), flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	fmt.Printf("%d of %d mutants were noticed\n", total-survivors, total)
	if survivors > 0 {
		os.Exit(1)
	}
}

func run(tests, files []string) (survivors, total int, err error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, 0, err
		}
		mutants, err := mutantsOf(file, text)
		if err != nil {
			return 0, 0, err
		}
		for _, m := range mutants {
			noticed, err := m.test(dir, file, text, tests)
			if err != nil {
				return 0, 0, err
			}
			total++
			if !noticed {
				survivors++
				fmt.Printf("%s:%d: nobody notices %s in place of %s\n", file, m.line, m.now, m.was)
			}
		}
	}
	return survivors, total, nil
}

// test runs the tests with the mutant in place of the file. What does not
// compile counts as noticed.
func (m mutant) test(dir, file string, text []byte, tests []string) (noticed bool, err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return false, err
	}
	changed := string(text[:m.from]) + m.now + string(text[m.to:])
	replaced, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(replaced, []byte(changed), 0o600); err != nil {
		return false, err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: replaced}})
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return false, err
	}
	c := exec.Command("go", append([]string{"test", "-count=1", "-failfast", "-timeout=2m", "-overlay", overlay}, tests...)...)
	var exit *exec.ExitError
	if err = c.Run(); errors.As(err, &exit) {
		return true, nil
	}
	return false, err
}
