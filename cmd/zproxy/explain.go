package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/cases"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/role"
	"github.com/zproxy/zproxy/proxy"
)

type question struct {
	config, caller, listener, contentType string
	body, organization                    string
	headers                               []string
	extra                                 proxy.HeaderPatterns // that the configuration lets pass besides
}

func newExplain() *cobra.Command {
	var q question
	c := &cobra.Command{
		Use:   "explain --caller CALLER {OPERATION | METHOD TARGET}",
		Short: "Say what would happen to a request, and why",
		Long: `Say which operation a request is, what would go upstream, what the rules decide,
and what each rule has to say. Nothing is sent.`,
		Example: `  zproxy explain --config zproxy.yaml --caller unix:crm zitadel.user.v2.UserService/ListUsers
  zproxy explain --config zproxy.yaml --caller anonymous:local POST /v2/users
  zproxy explain --config zproxy.yaml --caller unix:crm POST /v2/users --body '{"queries": []}'`,
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
	c.Flags().StringVar(&q.body, "body", "", "the request message as `JSON`, for rules that look into it")
	c.Flags().StringVar(&q.organization, "organization", "", "the x-zitadel-orgid that the caller sends, an `id`")
	c.Flags().StringArrayVarP(&q.headers, "header", "H", nil, "a `name` of a header that the caller sends: would it pass?")
	c.Flags().StringVar(&q.contentType, "content-type", "application/json", "of the request; \"\" for none")
	return c
}

func explain(w io.Writer, q question, args []string) error {
	cfg, err := load(q.config)
	if err != nil {
		return err
	}
	catalogue, rules, err := gateway.Rules(cfg, time.Now())
	if err != nil {
		return err
	}
	q.extra = proxy.NewHeaderPatterns(cfg.Upstream.ForwardHeaders)
	caller, err := q.who(cfg)
	if err != nil {
		return err
	}
	subject, unreadable, err := asked(w, catalogue, q, args, caller)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(cfg.Listeners, func(l config.Listener) bool { return comesThrough(l, caller.String()) }) {
		fmt.Fprintf(w, "note        no listener has the caller %s\n", caller)
	}
	return explainDecision(w, rules, q.decide(w, cfg, rules, caller, &subject, unreadable), caller, subject, q)
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
		if name != "" && !comesThrough(l, name) {
			return authn.Caller{}, usage("its callers are "+strings.Join(callersOf(l), ", "), "listener %s has no caller %q", l.Name, name)
		}
	}
	if name == "" {
		return authn.Caller{}, usage("say who asks with --caller unix:crm", "no caller is given")
	}
	caller, err := authn.ParseCaller(name)
	if err != nil {
		return authn.Caller{}, &failure{exitUsage, "callers are spelled unix:<name>, anonymous:<name>, dns:<name>, spiffe://<trust domain>/<path> or jwt:<issuer name>/<subject>", err}
	}
	return caller, nil
}

// comesThrough tells whether a caller can come through l.
func comesThrough(l config.Listener, caller string) bool {
	if c := l.ClientCertificate; c != nil {
		return strings.HasPrefix(caller, "spiffe://") && slices.Contains(c.Identity, "spiffe") || strings.HasPrefix(caller, "dns:") && slices.Contains(c.Identity, "dns")
	}
	if name, ok := strings.CutPrefix(caller, "jwt:"); ok {
		name, _, _ = strings.Cut(name, "/")
		return slices.ContainsFunc(l.BearerJWT, func(i config.JWTIssuer) bool { return i.Name == name })
	}
	return slices.Contains(callersOf(l), caller)
}

// callersOf are the callers of l, or how they are spelled.
func callersOf(l config.Listener) []string {
	if l.Anonymous != "" {
		return []string{"anonymous:" + l.Anonymous}
	}
	if l.ClientCertificate != nil {
		return []string{"spiffe://<trust domain>/<path>", "dns:<name>"}
	}
	var all []string
	for _, i := range l.BearerJWT {
		all = append(all, "jwt:"+i.Name+"/<subject>")
	}
	for _, u := range l.Unix {
		all = append(all, "unix:"+u.Name)
	}
	return all
}

// asked names the operation and prints what the request would become. Its
// message may be unreadable. The error says that it would be refused before any
// rule is asked, or that the question is wrong.
func asked(w io.Writer, catalogue *operation.Catalogue, q question, args []string, caller authn.Caller) (s cases.Subject, unreadable bool, err error) {
	r := cases.Request{Caller: caller, ContentType: q.contentType, Body: q.body, Organization: q.organization, Now: time.Now()}
	if len(args) == 1 {
		name, err := complete(catalogue, args[0])
		if err != nil {
			return s, false, err
		}
		r.Operation = operation.Name(name)
	} else {
		r.Method, r.Target = strings.ToUpper(args[0]), args[1]
	}
	s, err = r.Subject(catalogue)
	var refused *operation.Error
	var noMessage *cases.UnreadableError
	switch {
	case errors.As(err, &refused):
		fmt.Fprintf(w, "refused     %s: %s\n", refused.Reason, refused.Detail)
		explainHeaders(w, policy.Decision{}, s, q)
		return s, false, &failure{exitFailed, "", errors.New("the request would be refused before any rule is asked")}
	case errors.As(err, &noMessage):
		printSubject(w, s, r)
		fmt.Fprintf(w, "message     %v\n", noMessage)
		return s, true, nil
	case err != nil:
		return s, false, &failure{exitUsage, "search with `zproxy operations`", err}
	}
	printSubject(w, s, r)
	return s, false, nil
}

func printSubject(w io.Writer, s cases.Subject, r cases.Request) {
	printOperation(w, s.Operation)
	if r.Operation != "" {
		return
	}
	target := s.Resolved.Path
	if s.Resolved.Query != "" {
		target += "?" + s.Resolved.Query
	}
	fmt.Fprintf(w, "protocol    %s\nupstream    %s %s\n", s.Resolved.Protocol, r.Method, target)
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
	for _, g := range role.Least([]operation.Name{op.Name}, false).Grants {
		fmt.Fprintf(w, "role        %s (%s), for %s (%s)\n", strings.Join(g.Roles, " and "), g.Level, strings.Join(g.Because[0].Permissions, ", "), g.Because[0].Basis)
	}
	if op.Hazards != 0 {
		fmt.Fprintf(w, "hazards     %s\n", strings.Join(op.Hazards.Names(), ", "))
	}
}
