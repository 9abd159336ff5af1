package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/observed"
	"github.com/zproxy/zproxy/policy/operation"
)

// generated is what the flags of generate say.
type generated struct {
	as, caller, since, until string
	allowed, refused         bool
}

func newPolicyGenerate() *cobra.Command {
	var g generated
	c := &cobra.Command{
		Use:   "generate AUDIT...",
		Short: "Write the rules that would allow exactly what audit records show",
		Long: `Read audit records, "-" for standard input, gzip or not, and write rules with the
exact operations that each caller used or was refused for lack of a rule.
Hazardous operations stand in rules of their own. Review before you use them:
what was asked for is not yet what should be allowed, records do not tell the
conditions of the rules that allowed it, and organizations stand in comments.
Exit code 0: the rules are complete; 1: some need a service user to be named.`,
		Example: `  zproxy policy generate --since 2026-03-01 /var/log/zproxy/audit.jsonl
  zcat audit-*.gz | zproxy policy generate --refused --as directory-reader -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("zproxy policy generate /var/log/zproxy/audit.jsonl", "no audit records are given")
			}
			return nil
		},
		RunE: func(c *cobra.Command, files []string) error {
			return g.run(c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr(), files)
		},
	}
	c.Flags().StringVar(&g.as, "as", "", "the service `user` for what was refused")
	c.Flags().StringVar(&g.caller, "caller", "", "this `caller` only")
	c.Flags().StringVar(&g.since, "since", "", "records from this `time` on: RFC 3339, or a date")
	c.Flags().StringVar(&g.until, "until", "", "records before this `time`")
	c.Flags().BoolVar(&g.allowed, "allowed", false, "only what was allowed")
	c.Flags().BoolVar(&g.refused, "refused", false, "only what was refused")
	return c
}

func (g *generated) run(in io.Reader, out, notes io.Writer, files []string) error {
	filter := observed.Filter{Caller: g.caller, Allowed: g.allowed, Refused: g.refused}
	var err error
	if filter.Since, err = instant("since", g.since); err != nil {
		return err
	}
	if filter.Until, err = instant("until", g.until); err != nil {
		return err
	}
	catalogue, err := operation.Default()
	if err != nil {
		return err
	}
	use := observed.New(catalogue)
	for _, name := range files {
		if err := add(use, in, name, filter); err != nil {
			return &failure{exitUsage, "", fmt.Errorf("%s: %w", name, err)}
		}
	}
	for _, l := range use.LeftOut() {
		fmt.Fprintf(notes, "zproxy: left out %d requests: %s\n", l.Count, l.Reason)
	}
	proposal := use.Rules(g.as)
	if len(proposal.Rules()) == 0 {
		return &failure{exitFailed, "", fmt.Errorf("there is nothing to make rules of in %d records", use.Records())}
	}
	if _, err := out.Write(proposal.YAML()); err != nil {
		return err
	}
	if !proposal.Complete {
		return &failure{exitFailed, "give one with --as, or replace " + observed.ChangeMe, errors.New("some rules have no service user yet")}
	}
	return nil
}

func add(use *observed.Use, in io.Reader, name string, filter observed.Filter) error {
	if name == "-" {
		return use.Add(in, filter)
	}
	f, err := os.Open(name)
	if err != nil {
		return errors.Unwrap(err) // the caller names the file
	}
	defer f.Close()
	return use.Add(f, filter)
}

// instant reads a flag's time; "" is none.
func instant(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("write 2026-03-30T10:00:00Z, or 2026-03-30 for midnight UTC", "--%s %q is no time", flag, text)
}
