package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/policy/operation"
)

// listed is an operation as --json prints it.
type listed struct {
	Name       operation.Name `json:"name"`
	Routes     []string       `json:"routes,omitempty"`
	Permission string         `json:"permission,omitempty"`
	Hazards    []string       `json:"hazards,omitempty"`
	Changes    bool           `json:"changes"`
	Deprecated bool           `json:"deprecated,omitempty"`
}

type operationFilter struct {
	hazard, service                          string
	changes, reads, deprecated, noDeprecated bool
	asJSON, names                            bool
}

func newOperations() *cobra.Command {
	var f operationFilter
	c := &cobra.Command{
		Use:   "operations [TEXT]...",
		Short: "List and search ZITADEL's operations: routes, permission, hazards",
		Long: `List the operations that rules can name. Each TEXT must occur in the name or in a
route, in any case; '*' at the end of a TEXT is ignored.`,
		Example: `  zproxy operations userservice/list
  zproxy operations --hazard mints-credential
  zproxy operations /v2/users`,
		RunE: func(c *cobra.Command, args []string) error { return listOperations(c.OutOrStdout(), args, f) },
	}
	c.Flags().StringVar(&f.hazard, "hazard", "", "only those of this hazard class")
	c.Flags().StringVar(&f.service, "service", "", "only those of this service, in full or its last part: UserService")
	c.Flags().BoolVar(&f.changes, "changes", false, "only those that change state")
	c.Flags().BoolVar(&f.reads, "reads", false, "only those that do not change state")
	c.Flags().BoolVar(&f.deprecated, "deprecated", false, "only what ZITADEL has deprecated")
	c.Flags().BoolVar(&f.noDeprecated, "current", false, "leave out what ZITADEL has deprecated")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	c.Flags().BoolVar(&f.names, "names", false, "print names alone, for zproxy check --known")
	c.MarkFlagsMutuallyExclusive("changes", "reads")
	c.MarkFlagsMutuallyExclusive("json", "names")
	c.MarkFlagsMutuallyExclusive("deprecated", "current")
	return c
}

func listOperations(w io.Writer, texts []string, f operationFilter) error {
	catalogue, err := operation.Default()
	if err != nil {
		return err
	}
	var hazard operation.Hazards
	if f.hazard != "" {
		if hazard, err = operation.ParseHazard(f.hazard); err != nil {
			return &failure{exitUsage, "", err}
		}
	}
	var found []listed
	for _, op := range catalogue.Operations() {
		l := list(op)
		if l.matches(texts) && (hazard == 0 || op.Hazards&hazard != 0) && f.has(op) {
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		return &failure{exitFailed, "search by part of a name or route: zproxy operations userservice/list", fmt.Errorf("no operation matches")}
	}
	if f.names {
		for _, l := range found {
			if _, err := fmt.Fprintln(w, l.Name); err != nil {
				return err
			}
		}
		return nil
	}
	if f.asJSON {
		out := json.NewEncoder(w)
		for _, l := range found {
			if err := out.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	return printTable(w, found)
}

func (f operationFilter) has(op *operation.Operation) bool {
	service, _, _ := strings.Cut(string(op.Name), "/")
	return (f.service == "" || service == f.service || strings.HasSuffix(service, "."+f.service)) &&
		(!f.changes || op.Changes) && (!f.reads || !op.Changes) &&
		(!f.deprecated || op.Deprecated) && (!f.noDeprecated || !op.Deprecated)
}

func list(op *operation.Operation) listed {
	l := listed{Name: op.Name, Permission: op.Permission, Hazards: op.Hazards.Names(), Changes: op.Changes, Deprecated: op.Deprecated}
	for _, r := range op.Routes {
		l.Routes = append(l.Routes, r.Method+" "+r.Template)
	}
	return l
}

func (l listed) matches(texts []string) bool {
	all := strings.ToLower(string(l.Name) + "\n" + strings.Join(l.Routes, "\n"))
	for _, t := range texts {
		if !strings.Contains(all, strings.ToLower(strings.TrimSuffix(t, "*"))) {
			return false
		}
	}
	return true
}

func printTable(w io.Writer, found []listed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OPERATION\tROUTES\tPERMISSION\tHAZARDS")
	for _, l := range found {
		routes := strings.Join(l.Routes, ", ")
		if routes == "" {
			routes = "-"
		}
		name := string(l.Name)
		if l.Deprecated {
			name += " (deprecated)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, routes, dash(l.Permission), dash(strings.Join(l.Hazards, ", ")))
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
