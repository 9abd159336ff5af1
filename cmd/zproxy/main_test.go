package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"zproxy": func() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// leakChecked fails tests that leave goroutines behind.
type leakChecked struct{ tests *testing.M }

func (m leakChecked) Run() int {
	code := m.tests.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
