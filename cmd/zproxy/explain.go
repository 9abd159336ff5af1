package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

type question struct {
	config, caller, listener, contentType string
}

func newExplain() *cobra.Command {
	var q question
	c := &cobra.Command{
		Use:   "explain --caller CALLER {OPERATION | METHOD TARGET}",
		Short: "Say what would happen to a request, and why",
		Long: `Say which operation a request is, what would go upstream, what the rules decide,
and what each rule has to say. Nothing is sent.`,
		Example: `  zproxy explain --config zproxy.yaml --caller unix:crm zitadel.user.v2.UserService/ListUsers
  zproxy explain --config zproxy.yaml --caller anonymous:local POST /v2/users`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return usage("zproxy explain --caller unix:crm POST /v2/users", "an operation, or a method and a target, is needed")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return explain(c.OutOrStdout(), q, args) },
	}
	c.Flags().StringVar(&q.config, "config", "", "the configuration `file`")
	c.Flags().StringVar(&q.caller, "caller", "", "who asks, such as unix:crm or anonymous:local")
	c.Flags().StringVar(&q.listener, "listener", "", "`name` of the listener; an anonymous one says who asks")
	c.Flags().StringVar(&q.contentType, "content-type", "application/json", "of the request; \"\" for none")
	return c
}

func explain(w io.Writer, q question, args []string) error {
	cfg, err := load(q.config)
	if err != nil {
		return err
	}
	catalogue, rules, err := gateway.Rules(cfg)
	if err != nil {
		return err
	}
	caller, err := q.who(cfg)
	if err != nil {
		return err
	}
	op, err := asked(w, catalogue, q, args)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(cfg.Listeners, func(l config.Listener) bool { return slices.Contains(callersOf(l), caller.String()) }) {
		fmt.Fprintf(w, "note        no listener has the caller %s\n", caller)
	}
	return explainDecision(w, rules, caller, op)
}

// who is the caller that the flags name, checked against the listener if one is given.
func (q question) who(cfg *config.Config) (authn.Caller, error) {
	name := q.caller
	if q.listener != "" {
		i := slices.IndexFunc(cfg.Listeners, func(l config.Listener) bool { return l.Name == q.listener })
		if i < 0 {
			return authn.Caller{}, usage("its name is the one in the configuration", "no listener is called %q", q.listener)
		}
		l := cfg.Listeners[i]
		if name == "" && l.Anonymous != "" {
			name = "anonymous:" + l.Anonymous
		}
		if name != "" && !slices.Contains(callersOf(l), name) {
			return authn.Caller{}, usage("its callers are "+strings.Join(callersOf(l), ", "), "listener %s has no caller %q", l.Name, name)
		}
	}
	if name == "" {
		return authn.Caller{}, usage("say who asks with --caller unix:crm", "no caller is given")
	}
	caller, err := authn.ParseCaller(name)
	if err != nil {
		return authn.Caller{}, &failure{exitUsage, "callers are spelled unix:<name>, anonymous:<name>, dns:<name> or spiffe://<trust domain>/<path>", err}
	}
	return caller, nil
}

// callersOf are the callers that can come through l.
func callersOf(l config.Listener) []string {
	if l.Anonymous != "" {
		return []string{"anonymous:" + l.Anonymous}
	}
	var all []string
	for _, u := range l.Unix {
		all = append(all, "unix:"+u.Name)
	}
	return all
}

// asked names the operation and prints what the request would become. The
// error says that it would be refused before any rule is asked, or that the
// question is wrong.
func asked(w io.Writer, catalogue *operation.Catalogue, q question, args []string) (*operation.Operation, error) {
	if len(args) == 1 {
		name, err := complete(catalogue, args[0])
		if err != nil {
			return nil, err
		}
		op, ok := catalogue.Lookup(operation.Name(name))
		if !ok {
			return nil, usage("search with `zproxy operations`", "no operation is called %q", args[0])
		}
		printOperation(w, op)
		return op, nil
	}
	r, err := catalogue.Resolve(operation.Request{Method: strings.ToUpper(args[0]), Target: args[1], ContentType: q.contentType})
	var refused *operation.Error
	if errors.As(err, &refused) {
		fmt.Fprintf(w, "refused     %s: %s\n", refused.Reason, refused.Detail)
		return nil, &failure{exitFailed, "", errors.New("the request would be refused before any rule is asked")}
	}
	if err != nil {
		return nil, err
	}
	printOperation(w, r.Operation)
	target := r.Path
	if r.Query != "" {
		target += "?" + r.Query
	}
	fmt.Fprintf(w, "protocol    %s\nupstream    %s %s\n", r.Protocol, strings.ToUpper(args[0]), target)
	return r.Operation, nil
}

func printOperation(w io.Writer, op *operation.Operation) {
	effect := "reads"
	if op.Changes {
		effect = "changes state"
	}
	fmt.Fprintf(w, "operation   %s (%s)\n", op.Name, effect)
	if op.Permission != "" {
		fmt.Fprintf(w, "permission  %s\n", op.Permission)
	}
	if op.Hazards != 0 {
		fmt.Fprintf(w, "hazards     %s\n", strings.Join(op.Hazards.Names(), ", "))
	}
}

func explainDecision(w io.Writer, rules *policy.Policy, caller authn.Caller, op *operation.Operation) error {
	d := rules.Decide(caller, op, policy.Facts{})
	if d.Effect == policy.Allow {
		fmt.Fprintf(w, "decision    allow, by rule %s, as %s\n", d.Rule, d.As)
	} else {
		fmt.Fprintf(w, "decision    deny (%s)\n", d.Reason)
	}
	if d.Shadow != "" {
		fmt.Fprintf(w, "shadow      rule %s would allow it\n", d.Shadow)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range rules.Explain(caller, op, policy.Facts{}) {
		mark := "no"
		switch {
		case c.Decides:
			mark = "decides"
		case c.Allows && c.Shadow:
			mark = "shadow"
		case c.Allows:
			mark = "too late"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", c.Rule, mark, c.Because)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if d.Effect == policy.Allow {
		return nil
	}
	if hint := rules.Hint(caller, op); hint != "" {
		fmt.Fprintf(w, "\nto allow it, %s\n", hint)
	}
	return &failure{exitFailed, "", errors.New("the request would be refused")}
}
