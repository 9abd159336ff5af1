package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

// checkTime bounds everything that check asks ZITADEL.
const checkTime = 20 * time.Second

func newCheck() *cobra.Command {
	var file, known string
	var offline, asJSON bool
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Check the configuration, then try each service user against ZITADEL",
		Long: `Read the configuration and every file that it names, compile the rules, and report
everything that is wrong at once. Unless --offline is given, also get a token
for each service user and make one harmless call with it.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(file)
			if err != nil {
				return inJSON(c.OutOrStdout(), err, asJSON)
			}
			ctx, cancel := context.WithTimeout(c.Context(), checkTime)
			defer cancel()
			names, err := knownOperations(known)
			if err != nil {
				return err
			}
			findings, err := gateway.Check(ctx, cfg, gateway.CheckOptions{Offline: offline, Known: names})
			if err != nil {
				return inJSON(c.OutOrStdout(), err, asJSON)
			}
			return printFindings(c.OutOrStdout(), findings, offline, asJSON)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `file`")
	c.Flags().BoolVar(&offline, "offline", false, "ask ZITADEL nothing")
	c.Flags().StringVar(&known, "known", "", "a `file` of operations, as zproxy operations --names of an older build wrote it: tell what wildcards cover since")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a finding")
	return c
}

// knownOperations reads one name a line; no file is no names.
func knownOperations(file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &failure{exitUsage, "write one with zproxy operations --names", fmt.Errorf("reading known operations: %w", err)}
	}
	return strings.Fields(string(text)), nil
}

// inJSON prints faults of the configuration as findings too, and returns err.
func inJSON(w io.Writer, err error, asJSON bool) error {
	var faults config.Faults
	if !asJSON || !errors.As(err, &faults) {
		return err
	}
	out := json.NewEncoder(w)
	for _, f := range faults {
		finding := gateway.Finding{Level: gateway.Fault, About: f.Place(), Message: f.Message + "; " + f.Fix}
		if printErr := out.Encode(finding); printErr != nil {
			return printErr
		}
	}
	return &failure{exitUsage, "", fmt.Errorf("the configuration has %d faults", len(faults))}
}

// printFindings is one line for each finding; only faults fail the command.
func printFindings(w io.Writer, findings []gateway.Finding, offline, asJSON bool) error {
	faults := 0
	for _, f := range findings {
		if f.Level == gateway.Fault {
			faults++
		}
		if asJSON {
			if err := json.NewEncoder(w).Encode(f); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "%-7s  %s: %s\n", f.Level, f.About, f.Message); err != nil {
			return err
		}
	}
	if faults > 0 {
		return &failure{exitFailed, "", fmt.Errorf("%d of %d findings must be mended before zproxy can serve as configured", faults, len(findings))}
	}
	if !asJSON {
		how := "the configuration is good, and ZITADEL takes each service user"
		if offline {
			how = "the configuration is good; ZITADEL was not asked (--offline)"
		}
		_, err := fmt.Fprintln(w, how)
		return err
	}
	return nil
}
