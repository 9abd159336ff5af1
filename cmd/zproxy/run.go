package main

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/gateway"
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
			log, err := newLog(c.ErrOrStderr(), f.logFormat)
			if err != nil {
				return err
			}
			g, err := gateway.New(cfg, gateway.Options{Log: log})
			if err != nil {
				return &failure{exitFailed, f.checkHint(), f.named(err)}
			}
			return g.Run(c.Context())
		},
	}
	c.Flags().StringVar(&f.config, "config", "", "the configuration `file`")
	c.Flags().StringVar(&f.logFormat, "log-format", "auto", "console, json, or auto: console on a terminal")
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

// newLog is the operator's log: for people on a terminal, for programs elsewhere.
func newLog(w io.Writer, format string) (zerolog.Logger, error) {
	switch format {
	case "auto":
		if isTerminal(w) {
			return newLog(w, "console")
		}
	case "console":
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w) || os.Getenv("NO_COLOR") != ""}
	case "json":
	default:
		return zerolog.Nop(), usage("use console, json or auto", "unknown log format %q", format)
	}
	return zerolog.New(w).With().Timestamp().Logger(), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
