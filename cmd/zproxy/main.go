// Command zproxy is an authenticating reverse proxy to the ZITADEL APIs.
//
// Exit codes: 0 done; 1 it failed, check found a fault outside the
// configuration, or explain's request would be refused; 2 the command line or
// the configuration is at fault.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/config"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs one command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	ctx, stop := untilSignal()
	defer stop()
	root := newRoot()
	started := false
	for _, c := range root.Commands() {
		run := c.RunE
		c.RunE = func(c *cobra.Command, args []string) error { started = true; return run(c, args) }
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if f := (*failure)(nil); !started && !errors.As(err, &f) { // cobra refused the command line
		err = &failure{exitUsage, "see `zproxy --help`", firstLine(err)}
	}
	return report(stderr, err)
}

// firstLine leaves out the suggestions and usage that cobra adds to some errors.
func firstLine(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(text)
}

// failure is an error with its exit code and, if there is one, a hint.
type failure struct {
	code int
	hint string
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage is a fault of the command line.
func usage(hint, format string, args ...any) error {
	return &failure{exitUsage, hint, fmt.Errorf(format, args...)}
}

// report prints err as the program does: prefixed, one line for each thing
// that is wrong, hints after it.
func report(w io.Writer, err error) int {
	var f *failure
	var faults config.Faults
	code := exitFailed
	switch {
	case errors.As(err, &faults):
		code = exitUsage
	case errors.As(err, &f):
		code = f.code
	}
	for line := range strings.Lines(err.Error()) {
		prefix := "zproxy: "
		if strings.HasPrefix(line, "  | ") { // the line of a file, and the caret under it
			prefix = ""
		}
		fmt.Fprintf(w, "%s%s\n", prefix, strings.TrimSuffix(line, "\n"))
	}
	if f != nil && f.hint != "" {
		fmt.Fprintf(w, "hint: %s\n", f.hint)
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "zproxy",
		Short: "An authenticating reverse proxy to the ZITADEL APIs",
		Long: `zproxy lets internal services call ZITADEL without any credential of their own:
it checks what each caller may do, attaches a service user's access token,
forwards, and leaves an audit record.

Exit codes: 0 done; 1 it failed, check found a fault, or explain's request would
be refused; 2 the command line or the configuration is at fault.`,
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("see `"+c.CommandPath()+" --help`", "%w", err)
	})
	root.AddCommand(newRun(), newCheck(), newExplain(), newPolicy(), newOperations(), newBootstrap(), newKeys(), newCerts(), newHealth(), newVersion())
	return root
}

// noArgs refuses arguments with an error of ours.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("see `"+c.CommandPath()+" --help`", "unexpected argument %q", args[0])
	}
	return nil
}

// load reads the configuration that --config names.
func load(path string) (*config.Config, error) {
	if path == "" {
		return nil, usage("give the configuration with --config zproxy.yaml", "no configuration is given")
	}
	cfg, err := config.Load(path)
	var faults config.Faults
	if err != nil && !errors.As(err, &faults) {
		return nil, &failure{exitUsage, "", err}
	}
	return cfg, err
}
