package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/devcerts"
)

func newCerts() *cobra.Command {
	c := &cobra.Command{
		Use:   "certs",
		Short: "Make certificates for trying things out",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage("see `zproxy certs --help`", "certs needs its command: dev")
		},
	}
	c.AddCommand(newCertsDev())
	return c
}

func newCertsDev() *cobra.Command {
	var dir string
	var keep bool
	var config devcerts.Config
	c := &cobra.Command{
		Use:   "dev",
		Short: "Make a throw-away CA with a server's and callers' certificates",
		Long: `Make a throw-away certificate authority, a server's certificate and one for each
caller, good for 30 days, and print how to use them. The authority's key is not
kept: nobody can have more issued by what is left over.`,
		Example: `  zproxy certs dev --client spiffe://acme.internal/crm --client dns:portal.acme.internal
  zproxy certs dev --dir /tmp/certs --server zproxy.acme.internal`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config.Now = time.Now()
			return certsDev(c.OutOrStdout(), dir, keep, config)
		},
	}
	c.Flags().StringVar(&dir, "dir", "certs", "the `directory` to write to")
	c.Flags().StringArrayVar(&config.Servers, "server", nil, "a DNS `name` or IP address of the server (default localhost, 127.0.0.1, ::1)")
	c.Flags().StringArrayVar(&config.Callers, "client", []string{"spiffe://acme.internal/crm"}, "a `caller`: spiffe://<trust domain>/<path>, or dns:<name>")
	c.Flags().StringArrayVar(&config.SystemUsers, "system-user", nil, "the `name` of a user of the System API: a key pair for ZITADEL's SystemAPIUsers")
	c.Flags().BoolVar(&keep, "keep", false, "keep what is there while it lasts another day, and replace it otherwise")
	return c
}

func certsDev(w io.Writer, dir string, keep bool, config devcerts.Config) error {
	bundle, err := devcerts.Make(config)
	if err != nil {
		return &failure{exitUsage, "", err}
	}
	wrote := true
	if keep {
		wrote, err = bundle.Keep(dir, config.Now)
	} else {
		err = bundle.Write(dir)
	}
	if err != nil {
		return &failure{exitUsage, "", err}
	}
	if !wrote {
		_, err = fmt.Fprintf(w, "kept the %d files in %s\n", len(bundle.Files), dir)
		return err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	server := "localhost"
	if len(config.Servers) > 0 {
		server = config.Servers[0]
	}
	fmt.Fprintf(w, "wrote %d files to %s, good until %s:\n", len(bundle.Files), dir, config.Now.Add(devcerts.Lifetime).UTC().Format(time.DateOnly))
	for _, f := range bundle.Files {
		fmt.Fprintf(w, "  %s\n", at(f.Name))
	}
	fmt.Fprintf(w, `
a listener that asks for them:
  - name: mesh
    address: 127.0.0.1:8443
    tls: {certificate_file: %s, key_file: %s}
    callers: {client_certificate: {ca_file: %s}}

`, at(devcerts.ServerFile), at(devcerts.ServerKey), at(devcerts.CAFile))
	for _, c := range bundle.Callers {
		_, err = fmt.Fprintf(w, "a call as %s:\n  curl --cacert %s --cert %s --key %s -H 'Content-Type: application/json' -d '{}' https://%s:8443/v2/users\n",
			c.Identity, at(devcerts.CAFile), at(c.CertificateFile), at(c.KeyFile), server)
	}
	return err
}
