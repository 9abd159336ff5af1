package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/review"
)

func newPolicyDiff() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what each caller gains and loses between two configurations",
		Long: `Compare the rules of two configurations, operation by operation. Another service
user, other organizations and another condition count as gained and lost. Whose
credential a service user has, and who comes through which listener, is not compared.
Exit code 0: nobody gains anything; 1: somebody does; 2: a file is at fault.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("zproxy policy diff old.yaml new.yaml", "two configurations are needed")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return policyDiff(c.OutOrStdout(), args[0], args[1], asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a change")
	return c
}

func policyDiff(w io.Writer, before, after string, asJSON bool) error {
	old, err := compiled(before)
	if err != nil {
		return err
	}
	changed, err := compiled(after)
	if err != nil {
		return err
	}
	changes := review.Diff(old, changed)
	if err := printChanges(w, changes, asJSON); err != nil {
		return err
	}
	gains, losses := 0, 0
	for _, c := range changes {
		if c.Gains {
			gains++
		} else {
			losses++
		}
	}
	switch {
	case gains > 0:
		return &failure{exitFailed, "", fmt.Errorf("callers gain in %d places (+ and ~), and lose in %d (-)", gains, losses)}
	case asJSON:
		return nil
	case losses == 0:
		_, err = fmt.Fprintln(w, "nobody gains or loses anything")
	default:
		_, err = fmt.Fprintf(w, "nobody gains anything; callers lose in %d places\n", losses)
	}
	return err
}

func newPolicyBound() *cobra.Command {
	var file, ceiling string
	var asJSON bool
	c := &cobra.Command{
		Use:   "bound --config FILE --ceiling FILE",
		Short: "Check that the rules give nothing beyond a ceiling",
		Long: `Check that every caller may do no more by the configuration than by the ceiling, a
file of which only the rules matter: the same service user, no other
organizations, no condition less. Whose credential a service user has is not compared.
Exit code 0: within; 1: beyond; 2: a file is at fault.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" || ceiling == "" {
				return usage("zproxy policy bound --config zproxy.yaml --ceiling ceiling.yaml", "a configuration and a ceiling are needed")
			}
			return policyBound(c.OutOrStdout(), file, ceiling, asJSON)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `file`")
	c.Flags().StringVar(&ceiling, "ceiling", "", "the `file` whose rules are the most that is allowed")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object an excess")
	return c
}

func policyBound(w io.Writer, file, ceiling string, asJSON bool) error {
	most, err := compiled(ceiling)
	if err != nil {
		return err
	}
	rules, err := compiled(file)
	if err != nil {
		return err
	}
	var beyond []review.Change
	for _, c := range review.Diff(most, rules) {
		if c.Gains {
			beyond = append(beyond, c)
		}
	}
	if err := printChanges(w, beyond, asJSON); err != nil {
		return err
	}
	if len(beyond) > 0 {
		return &failure{exitFailed, "", fmt.Errorf("the rules go beyond the ceiling in %d places", len(beyond))}
	}
	if !asJSON {
		_, err = fmt.Fprintln(w, "the rules stay within the ceiling")
	}
	return err
}

// printed is a change for programs.
type printed struct {
	Caller    string   `json:"caller"`
	Operation string   `json:"operation"`
	Gains     bool     `json:"gains"`
	Loses     bool     `json:"loses"`
	Hazards   []string `json:"hazards,omitempty"`
	Before    []string `json:"before,omitempty"`
	After     []string `json:"after,omitempty"`
}

func printChanges(w io.Writer, changes []review.Change, asJSON bool) error {
	caller := ""
	for _, c := range changes {
		if asJSON {
			p := printed{c.Caller, string(c.Operation), c.Gains, c.Loses, c.Hazards.Names(), grants(c.Before), grants(c.After)}
			if err := json.NewEncoder(w).Encode(p); err != nil {
				return err
			}
			continue
		}
		if c.Caller != caller {
			caller = c.Caller
			fmt.Fprintln(w, caller)
		}
		if _, err := fmt.Fprintf(w, "  %s\n", change(c)); err != nil {
			return err
		}
	}
	return nil
}

// change is one line: "+ operation as user", "- …", or "~ … was … is …".
func change(c review.Change) string {
	hazards := ""
	if c.Hazards != 0 && c.Gains {
		hazards = " (" + strings.Join(c.Hazards.Names(), ", ") + ")"
	}
	before, after := strings.Join(grants(c.Before), " or "), strings.Join(grants(c.After), " or ")
	switch {
	case len(c.Before) == 0:
		return fmt.Sprintf("+ %s%s %s", c.Operation, hazards, after)
	case len(c.After) == 0:
		return fmt.Sprintf("- %s %s", c.Operation, before)
	case c.Gains:
		return fmt.Sprintf("~ %s%s %s, was %s", c.Operation, hazards, after, before)
	}
	return fmt.Sprintf("- %s %s, was %s", c.Operation, after, before)
}

// grants are what rules give, each in a few words.
func grants(all []policy.Grant) []string {
	var out []string
	for _, g := range all {
		text := "as " + g.As
		if len(g.Organizations) > 0 {
			text += " in " + strings.Join(g.Organizations, ", ")
		}
		if g.When != "" {
			text += " when " + strings.Join(strings.Fields(g.When), " ")
		}
		if !g.Until.IsZero() {
			text += " until " + g.Until.UTC().Format(time.RFC3339)
		}
		out = append(out, text+" by "+g.Rule)
	}
	return out
}
