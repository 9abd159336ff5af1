package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/keys"
)

// keysTime bounds everything that keys does.
const keysTime = time.Minute

func newKeys() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "List, replace and remove the keys of service users",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage("see `zproxy keys --help`", "keys needs one of its commands: list, rotate, remove")
		},
	}
	c.AddCommand(newKeysList(), newKeysRotate(), newKeysRemove())
	return c
}

// keyFlags choose the service users of a configuration.
type keyFlags struct{ config, name string }

func (f *keyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "the configuration `file`")
	c.Flags().StringVar(&f.name, "name", "", "this service `user` only")
}

// keepers are those of all chosen service users that have a key file.
func (f *keyFlags) keepers() ([]*keys.Keeper, error) {
	cfg, err := load(f.config)
	if err != nil {
		return nil, err
	}
	var all []*keys.Keeper
	for _, u := range cfg.ServiceUsers {
		if u.PrivateKeyJWT == nil || f.name != "" && u.Name != f.name {
			continue
		}
		k, err := gateway.Keeper(cfg, u)
		if err != nil {
			return nil, &failure{exitFailed, "", err}
		}
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil, usage("name one with private_key_jwt", "%s has no such service user with a key file", f.config)
	}
	return all, nil
}

// one is the keeper of the one service user that is meant.
func (f *keyFlags) one() (*keys.Keeper, error) {
	all, err := f.keepers()
	if err != nil {
		return nil, err
	}
	if len(all) > 1 {
		return nil, usage("name one of them with --name", "%s has several service users with key files", f.config)
	}
	return all[0], nil
}

func newKeysList() *cobra.Command {
	var f keyFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list --config FILE",
		Short: "List the keys that ZITADEL has of each service user, and what each is",
		Long: `List the keys that ZITADEL has of each service user with a key file: the one in
use, one on its way into the key file, replaced ones and when they are removed,
and those of which nothing here tells. Ended keys stay listed until removed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := f.keepers()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), keysTime)
			defer cancel()
			var errs []error
			for _, k := range all {
				errs = append(errs, listKeys(ctx, c.OutOrStdout(), k, asJSON))
			}
			return failedWith(errors.Join(errs...))
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a key")
	return c
}

// keyLine is one key for programs.
type keyLine struct {
	ServiceUser string     `json:"service_user"`
	Key         string     `json:"key"`
	State       keys.State `json:"state"`
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires"`
	Remove      *time.Time `json:"remove,omitempty"`
}

func listKeys(ctx context.Context, w io.Writer, k *keys.Keeper, asJSON bool) error {
	listed, err := k.List(ctx)
	if err != nil {
		return fmt.Errorf("service user %s: %w", k.Tokens.Name, err)
	}
	for _, l := range listed {
		if asJSON {
			line := keyLine{ServiceUser: k.Tokens.Name, Key: l.ID, State: l.State, Created: l.Created, Expires: l.Expiry}
			if !l.Remove.IsZero() {
				line.Remove = &l.Remove
			}
			if err := json.NewEncoder(w).Encode(line); err != nil {
				return err
			}
			continue
		}
		state := string(l.State)
		if !l.Remove.IsZero() {
			state += ", to be removed after " + l.Remove.UTC().Format(time.RFC3339)
		}
		if !l.Expiry.After(time.Now()) {
			state += ", ended"
		}
		fmt.Fprintf(w, "%s  %s  made %s  ends %s  %s\n", k.Tokens.Name, l.ID, l.Created.UTC().Format(time.DateOnly), l.Expiry.UTC().Format(time.DateOnly), state)
	}
	return nil
}

// failedWith is an error of ZITADEL or the disk.
func failedWith(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitFailed, "", err}
}
