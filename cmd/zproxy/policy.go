package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

func newPolicy() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Test, compare, bound and write rules",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usage("see `zproxy policy --help`", "policy needs one of its commands: test, diff, bound, generate, roles")
		},
	}
	c.AddCommand(newPolicyTest(), newPolicyDiff(), newPolicyBound(), newPolicyGenerate(), newPolicyRoles())
	return c
}

func newPolicyTest() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "test --config FILE [TESTS]...",
		Short: "Put the rules to their test cases",
		Long: `Put the rules to the tests of the configuration, and to those of further files
whose one key is tests. Each case says who asks for what and what the rules must
decide. Exit code 0: all hold; 1: one does not; 2: a file is at fault.`,
		Example: `  zproxy policy test --config zproxy.yaml
  zproxy policy test --config zproxy.yaml tests/crm.yaml`,
		RunE: func(c *cobra.Command, files []string) error { return policyTest(c.OutOrStdout(), file, files) },
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `file`")
	return c
}

// suite is test cases and what their faults point at.
type suite struct {
	tests []config.Test
	fault func(index int, message, fix string) config.Fault
}

func policyTest(w io.Writer, file string, files []string) error {
	cfg, err := load(file)
	if err != nil {
		return err
	}
	suites := []suite{{cfg.Tests, func(i int, message, fix string) config.Fault {
		return cfg.Fault(fmt.Sprintf("tests[%d]", i), message, fix)
	}}}
	for _, name := range files {
		s, err := config.LoadSuite(name)
		if err != nil {
			return unreadable(err)
		}
		suites = append(suites, suite{s.Tests, s.Fault})
	}
	cfg.Tests = nil // reported one by one below
	now := time.Now()
	catalogue, rules, err := gateway.Rules(cfg, now)
	if err != nil {
		return err
	}
	return runSuites(w, suites, catalogue, rules, now)
}

func runSuites(w io.Writer, suites []suite, catalogue *operation.Catalogue, rules *policy.Policy, now time.Time) error {
	total, failed := 0, 0
	for _, s := range suites {
		for i, t := range s.tests {
			total++
			c := gateway.Case(t, now)
			wrong, err := c.Check(catalogue, rules)
			switch {
			case err != nil:
				return config.Faults{s.fault(i, err.Error(), "correct the test")}
			case wrong != "":
				failed++
				fmt.Fprintf(w, "FAIL  %s\n      %s: %s\n", c.Title(), s.fault(i, "", "").Place(), wrong)
			default:
				fmt.Fprintf(w, "ok    %s\n", c.Title())
			}
		}
	}
	switch {
	case total == 0:
		return usage("write some under tests: in the configuration, or name a file of them", "there are no test cases")
	case failed > 0:
		return &failure{exitFailed, "`zproxy explain` tells what each rule has to say", fmt.Errorf("%d of %d test cases fail", failed, total)}
	}
	_, err := fmt.Fprintf(w, "all %d test cases hold\n", total)
	return err
}

// unreadable makes an error that is no fault of a file's content one of usage.
func unreadable(err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		return err
	}
	return &failure{exitUsage, "", err}
}

// compiled reads a file of which only the rules matter, and compiles them.
func compiled(path string) (*policy.Policy, error) {
	cfg, err := config.LoadRules(path)
	if err != nil {
		return nil, unreadable(err)
	}
	cfg.Tests = nil
	_, rules, err := gateway.Rules(cfg, time.Now())
	return rules, err
}
