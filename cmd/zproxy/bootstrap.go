package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/bootstrap"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

// bootstrapTime bounds everything that bootstrap does.
const bootstrapTime = 2 * time.Minute

// bootstrapFlags are the flags of bootstrap.
type bootstrapFlags struct {
	config, token, name, organization string
	issuer, address, ca, key          string
	allow, roles, projects            []string
	lifetime                          time.Duration
	dryRun                            bool
}

func newBootstrap() *cobra.Command {
	var f bootstrapFlags
	c := &cobra.Command{
		Use:   "bootstrap --admin-token-file FILE {--config FILE | --issuer URL --allow OPERATION...}",
		Short: "Create the service users, their keys and their roles in ZITADEL",
		Long: `Create in ZITADEL what a configuration needs there, with an administrator's token
that is used once and kept nowhere: each service user with a key file, its key,
and the least manager roles that its rules need. Key pairs are made here; only
the public half is sent. Without a configuration, one to begin with is written.

Every step finds out first what is there, and a run that was cut off is taken up
by the next: it can be run any number of times.`,
		Example: `  zproxy bootstrap --issuer https://acme.zitadel.cloud --admin-token-file admin.pat --allow 'UserService/List*'
  zproxy bootstrap --config zproxy.yaml --admin-token-file admin.pat --dry-run`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), bootstrapTime)
			defer cancel()
			return f.run(ctx, c.InOrStdin(), c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&f.config, "config", "zproxy.yaml", "the configuration `file`; written if it is not there")
	c.Flags().StringVar(&f.token, "admin-token-file", "", "`file` with a token of somebody who may create users and grant roles; - is standard input")
	c.Flags().StringVar(&f.name, "name", "", "the service `user` to create; with a configuration, the only one of it to look after")
	c.Flags().StringVar(&f.organization, "organization", "", "`id` of the organization to create users in (default the administrator's own)")
	c.Flags().StringArrayVar(&f.roles, "role", nil, "manager `role` to grant instead of those that the rules need (repeatable)")
	c.Flags().StringArrayVar(&f.projects, "project", nil, "`id` of a project on which to grant roles that count on projects (repeatable)")
	c.Flags().DurationVar(&f.lifetime, "lifetime", 90*24*time.Hour, "how long a new key is good for")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "change nothing: tell the calls that would be made")
	c.Flags().StringVar(&f.issuer, "issuer", "", "the instance's public origin `URL`, where there is no configuration yet")
	c.Flags().StringVar(&f.address, "address", "", "`URL` to connect to instead of the issuer")
	c.Flags().StringVar(&f.ca, "ca-file", "", "`file` of further certificate authorities to trust")
	c.Flags().StringVar(&f.key, "key", "", "key `file` to write (default NAME.json)")
	c.Flags().StringArrayVar(&f.allow, "allow", nil, "`operation` to allow, such as UserService/List* (repeatable)")
	return c
}

func (f *bootstrapFlags) run(ctx context.Context, in io.Reader, out io.Writer) error {
	cfg, starting, err := f.configuration(out)
	if err != nil {
		return err
	}
	users, err := f.users(cfg, out)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		if err := f.create(ctx, cfg, users, in, out); err != nil {
			return err
		}
	}
	if err := f.tellSystemUsers(cfg, out); err != nil {
		return &failure{exitFailed, "", err}
	}
	return f.finish(starting, out)
}

// finish writes the configuration to begin with, if there is none.
func (f *bootstrapFlags) finish(starting *bootstrap.Starting, out io.Writer) error {
	switch {
	case starting != nil && f.dryRun:
		fmt.Fprintf(out, "would write configuration %s\n", f.config)
	case starting != nil:
		if err := starting.Write(f.config); err != nil {
			return &failure{exitFailed, "", err}
		}
		fmt.Fprintf(out, "wrote       configuration %s\n", f.config)
	}
	if f.dryRun {
		_, err := fmt.Fprintln(out, "nothing was changed (--dry-run)")
		return err
	}
	_, err := fmt.Fprintf(out, "done: zproxy run --config %s; the administrator's token is needed no more\n", f.config)
	return err
}

// configuration is the file's, or that of the file which is to be written.
func (f *bootstrapFlags) configuration(out io.Writer) (*config.Config, *bootstrap.Starting, error) {
	_, err := os.Stat(f.config)
	if errors.Is(err, fs.ErrNotExist) {
		starting, err := f.starting()
		if err != nil {
			return nil, nil, err
		}
		cfg, err := config.Parse(f.config, starting.Text())
		return cfg, starting, err
	}
	cfg, err := load(f.config)
	if err != nil {
		return nil, nil, err
	}
	if f.issuer != "" && f.issuer != cfg.Upstream.Issuer.String() {
		return nil, nil, usage("leave --issuer out, or name another file with --config", "--issuer is %s, and %s says %s", f.issuer, f.config, cfg.Upstream.Issuer)
	}
	if len(f.allow) > 0 || f.key != "" || f.address != "" || f.ca != "" {
		fmt.Fprintf(out, "note        %s is there, and counts: --allow, --key, --address and --ca-file are left aside\n", f.config)
	}
	return cfg, nil, nil
}

func (f *bootstrapFlags) starting() (*bootstrap.Starting, error) {
	if f.issuer == "" {
		return nil, usage("give --issuer https://acme.zitadel.cloud and --allow to have one written", "there is no configuration %s", f.config)
	}
	if len(f.allow) == 0 {
		return nil, usage("for example --allow 'UserService/List*'; `zproxy operations` lists them", "--issuer needs at least one --allow: nothing is allowed by default, and roles are granted for what is")
	}
	operations, err := expand(f.allow)
	if err != nil {
		return nil, err
	}
	s := &bootstrap.Starting{Issuer: f.issuer, Address: f.address, CAFile: f.ca, Name: f.name, KeyFile: f.key, Operations: operations}
	if s.Name == "" {
		s.Name = "zproxy"
	}
	if s.KeyFile == "" {
		s.KeyFile = s.Name + ".json"
	}
	return s, nil
}

// create has ZITADEL know users.
func (f *bootstrapFlags) create(ctx context.Context, cfg *config.Config, users []bootstrap.User, in io.Reader, out io.Writer) error {
	if f.token == "" {
		return usage("make a personal access token of a manager in ZITADEL's console, and store it in a file", "--admin-token-file is missing")
	}
	token, err := bootstrap.ReadToken(f.token, in)
	if err != nil {
		return &failure{exitUsage, "", err}
	}
	client, err := gateway.Asker(cfg)
	if err != nil {
		return &failure{exitFailed, "", err}
	}
	plan := bootstrap.Plan{Issuer: cfg.Upstream.Issuer, Client: client, Token: token, Organization: f.organization, Users: users, DryRun: f.dryRun, Out: out}
	if err := plan.Run(ctx); err != nil {
		return &failure{exitFailed, "what was done stays, and the next run goes on from there", err}
	}
	return nil
}

// tellSystemUsers says how those are configured that no call creates.
func (f *bootstrapFlags) tellSystemUsers(cfg *config.Config, out io.Writer) error {
	for _, u := range cfg.ServiceUsers {
		if u.SystemUser == nil || f.name != "" && u.Name != f.name {
			continue
		}
		s := bootstrap.SystemUser{Name: u.Name, User: u.SystemUser.User, KeyFile: u.SystemUser.KeyFile}
		if err := s.Tell(out, f.dryRun); err != nil {
			return err
		}
	}
	return nil
}
