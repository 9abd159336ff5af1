package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/policy/operation"
)

// runFlags are the flags of run: a file, or what a small file would say.
type runFlags struct {
	config, logFormat string

	issuer, address, listen, audit string
	key, clientID, secret, token   string
	allow                          []string
}

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
				return &failure{exitFailed, "`zproxy check` tells everything that is wrong at once", err}
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
	c.MarkFlagsMutuallyExclusive("config", "issuer")
	c.MarkFlagsMutuallyExclusive("key", "client-id", "token-file")
	c.MarkFlagsRequiredTogether("client-id", "client-secret-file")
	return c
}

// newLog is the operator's log: for people on a terminal, for programs elsewhere.
func newLog(w io.Writer, format string) (zerolog.Logger, error) {
	switch format {
	case "auto":
		if f, ok := w.(*os.File); ok {
			if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
				return newLog(w, "console")
			}
		}
	case "console":
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	case "json":
	default:
		return zerolog.Nop(), usage("use console, json or auto", "unknown log format %q", format)
	}
	return zerolog.New(w).With().Timestamp().Logger(), nil
}

// configuration is the file's, or one made of the flags and read as a file
// would be, so that both are checked alike.
func (f *runFlags) configuration() (*config.Config, error) {
	if f.issuer == "" {
		return load(f.config)
	}
	user := ""
	switch {
	case f.key != "":
		user = fmt.Sprintf("private_key_jwt: {key_file: %q}", f.key)
	case f.clientID != "":
		user = fmt.Sprintf("client_credentials: {client_id: %q, client_secret_file: %q}", f.clientID, f.secret)
	case f.token != "":
		user = fmt.Sprintf("personal_access_token: {token_file: %q}", f.token)
	default:
		return nil, usage("give --key key.json, --client-id with --client-secret-file, or --token-file", "--issuer needs the credential of a service user")
	}
	if len(f.allow) == 0 {
		return nil, usage("for example --allow 'UserService/List*'; `zproxy operations` lists them", "--issuer needs at least one --allow: nothing is allowed by default")
	}
	operations, err := expand(f.allow)
	if err != nil {
		return nil, err
	}
	address := ""
	if f.address != "" {
		address = fmt.Sprintf(", address: %q", f.address)
	}
	text := fmt.Sprintf(`version: 1
upstream: {issuer: %q%s}
listeners: [{name: local, address: %q, callers: {anonymous: local}}]
service_users: [{name: service-user, %s}]
rules: [{name: allow, callers: ["anonymous:local"], operations: [%s], as: service-user}]
audit: {file: %q}
hints: true
`, f.issuer, address, f.listen, user, strings.Join(operations, ", "), f.audit)
	return config.Parse("the command line", []byte(text))
}

// expand completes short names, UserService/List*, to those of the current
// version of the service. A hazardous operation stays refused: accepting its
// hazards takes a configuration file.
func expand(names []string) ([]string, error) {
	catalogue, err := operation.Default()
	if err != nil {
		return nil, err
	}
	operations := make([]string, len(names))
	for i, name := range names {
		full, err := complete(catalogue, name)
		if err != nil {
			return nil, err
		}
		operations[i] = strconv.Quote(full)
	}
	return operations, nil
}

// complete finds the one service that a short name means: of several versions the v2.
func complete(catalogue *operation.Catalogue, name string) (string, error) {
	service, method, ok := strings.Cut(name, "/")
	if !ok {
		return "", usage("write Service/Method, such as UserService/ListUsers or UserService/List*", "%q names no operation", name)
	}
	if strings.Contains(service, ".") || slices.Contains(catalogue.Services(), service) {
		return name, nil
	}
	var found []string
	for _, s := range catalogue.Services() {
		if strings.HasSuffix(s, "."+service) {
			found = append(found, s)
		}
	}
	if current := slices.DeleteFunc(slices.Clone(found), func(s string) bool { return !strings.Contains(s, ".v2.") }); len(current) == 1 {
		found = current
	}
	switch len(found) {
	case 0:
		return "", usage("`zproxy operations` lists them", "ZITADEL has no service called %q", service)
	case 1:
		return found[0] + "/" + method, nil
	}
	return "", usage("write one in full: "+strings.Join(found, ", "), "%q could be one of several services", service)
}
