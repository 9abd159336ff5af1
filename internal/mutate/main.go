// Command mutate turns the decisions of given Go files round, one at a time,
// and runs tests against each: a mutant that passes is a decision that no test
// looks at. All mutants are compiled at once, each behind a number that the
// environment variable MUTANT gives. It changes nothing on disk.
//
//	go run ./internal/mutate -tests "./policy ./policy/message" policy/decide.go policy/guard.go
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
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
	all, err := read(files)
	if err != nil {
		return 0, 0, err
	}
	suites, err := compile(dir, tests, all)
	if err != nil {
		return 0, 0, err
	}
	if failed, err := notice(suites, 0); failed || err != nil {
		return 0, 0, errors.Join(errors.New("the tests fail without a mutant; run them alone first"), err)
	}
	for _, f := range all {
		for _, m := range f.mutants {
			total++
			noticed, err := notice(near(suites, f.path), total)
			if err != nil {
				return 0, 0, err
			}
			if !noticed {
				survivors++
				fmt.Printf("%s:%d: nobody notices when this is turned round: %s\n", f.name, m.line, m.was)
			}
		}
	}
	return survivors, total, nil
}

// notice tells whether the tests fail with the mutant of this number.
func notice(suites []suite, number int) (bool, error) {
	for _, s := range suites {
		c := exec.Command(s.binary, "-test.failfast", "-test.timeout=1m")
		c.Dir, c.Env = s.dir, append(os.Environ(), "MUTANT="+strconv.Itoa(number))
		var exit *exec.ExitError
		switch err := c.Run(); {
		case errors.As(err, &exit):
			return true, nil
		case err != nil:
			return false, err
		}
	}
	return false, nil
}
