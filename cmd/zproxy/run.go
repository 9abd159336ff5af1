package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/systemd"
	"github.com/zproxy/zproxy/internal/telemetry"
)

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run {--config FILE | --issuer URL --key FILE --allow OPERATION...}",
		Short: "Serve",
		Long: `Serve what a configuration file says. Without a file, serve one loopback listener on
which everybody may perform the operations given with --allow, as one service user.`,
		Example: `  zproxy run --config zproxy.yaml
  zproxy run --issuer https://acme.zitadel.cloud --key key.json --allow 'UserService/List*'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.conflicts(c.Flags().Changed); err != nil {
				return err
			}
			cfg, err := f.configuration()
			if err != nil {
				return err
			}
			log, err := newLog(c.ErrOrStderr(), f.logFormat, f.logLevel)
			if err != nil {
				return err
			}
			if err := f.serve(c.Context(), cfg, log); err != nil {
				return &failure{exitFailed, f.checkHint(), f.named(err)}
			}
			return nil
		},
	}
	c.Flags().StringVar(&f.config, "config", "", "the configuration `file`")
	c.Flags().StringVar(&f.logFormat, "log-format", "auto", "console, json, or auto: console on a terminal")
	c.Flags().StringVar(&f.logLevel, "log-level", "info", "the least that is told: debug, info, warn or error")
	c.Flags().StringVar(&f.issuer, "issuer", "", "the instance's public origin `URL`")
	c.Flags().StringVar(&f.address, "address", "", "`URL` to connect to instead of the issuer")
	c.Flags().StringVar(&f.key, "key", "", "the service user's key `file` (private key JWT)")
	c.Flags().StringVar(&f.clientID, "client-id", "", "the service user's user name (client credentials)")
	c.Flags().StringVar(&f.secret, "client-secret-file", "", "`file` with the client secret")
	c.Flags().StringVar(&f.token, "token-file", "", "`file` with a personal access token")
	c.Flags().StringArrayVar(&f.allow, "allow", nil, "`operation` to allow, such as UserService/List* (repeatable)")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "loopback `address` to listen on")
	c.Flags().StringVar(&f.audit, "audit", "-", "`file` for audit records; - is standard output")
	return c
}

// serve runs until ctx ends. systemd, where there is one, passes sockets on and
// is told how things are.
func (f *runFlags) serve(ctx context.Context, cfg *config.Config, log zerolog.Logger) error {
	names := make([]string, len(cfg.Listeners))
	for i, l := range cfg.Listeners {
		names[i] = l.Name
	}
	sockets, err := systemd.Inherit(names)
	if err != nil {
		return err
	}
	tracing, err := telemetry.NewTracing(ctx, os.Getenv, readBuild().Version, log)
	if err != nil {
		return err
	}
	defer endTracing(tracing, log)
	limits := f.confinement(cfg)
	options := gateway.Options{
		Log: log, Version: readBuild().Version, Socket: sockets.Take, Permit: limits.permit, File: f.config,
		Serving: func() { systemd.Ready("serving") }, Draining: systemd.Stopping,
		Reloading: systemd.Reloading, Reloaded: reloaded,
	}
	if f.config != "" {
		options.Reread = f.configuration
	}
	if tracing != nil {
		options.Trace = tracing
	}
	g, err := gateway.New(cfg, options)
	if err != nil {
		return err
	}
	if err := limits.apply(log); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan error, 1)
	// Asking for readiness, whatever the answer, shows that nothing is stuck.
	go func() { watched <- systemd.Watchdog(ctx, func() bool { g.Ready(); return true }) }()
	err = g.Run(ctx)
	cancel()
	return errors.Join(err, <-watched)
}

// lastSpans bounds how long the end waits for a collector.
const lastSpans = 3 * time.Second

// endTracing sends the spans of the last requests, which have ended by now.
func endTracing(t *telemetry.Tracing, log zerolog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
	defer cancel()
	if err := t.Shutdown(ctx); err != nil {
		log.Warn().Err(err).Msg("ending traces failed; the last spans are lost")
	}
}

// reloaded tells systemd how a reload went.
func reloaded(err error) {
	if err != nil {
		systemd.Ready("serving as before: the last reload was refused, see the log")
		return
	}
	systemd.Ready("serving")
}
