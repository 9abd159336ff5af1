package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zproxy/zproxy/internal/keys"
)

func newKeysRotate() *cobra.Command {
	var f keyFlags
	var output string
	var finish bool
	var lifetime, grace time.Duration
	c := &cobra.Command{
		Use:   "rotate --config FILE",
		Short: "Replace the key of each service user by a new one, without a request failing",
		Long: `Make a new key pair for each service user with a key file, register it as that user,
which needs no role, prove it by a token, and replace the key file. A running
zproxy takes it up by itself. The old key is removed from ZITADEL after the
grace: by a running zproxy whose configuration says rotate, by the next rotate,
or by rotate --finish. What was cut off is taken up.

Where the key file cannot be replaced, as in a Kubernetes Secret, --output writes
the new one elsewhere, to be put there by other means; the old key stays until
rotate --finish, with the same --output, finds the new one in its place.`,
		Example: `  zproxy keys rotate --config zproxy.yaml
  zproxy keys rotate --config zproxy.yaml --name directory-reader --output new.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := f.keepers()
			if err != nil {
				return err
			}
			if output != "" && len(all) > 1 {
				return usage("name one of them with --name", "--output takes one key, and %s has several service users with key files", f.config)
			}
			ctx, cancel := context.WithTimeout(c.Context(), keysTime)
			defer cancel()
			var errs []error
			for _, k := range all {
				k.Output = output
				k.Plan = keys.Plan{Lifetime: chosen(c, "lifetime", lifetime, k.Plan.Lifetime), Grace: chosen(c, "grace", grace, k.Plan.Grace)}
				errs = append(errs, rotate(ctx, c.OutOrStdout(), k, !finish))
			}
			return failedWith(errors.Join(errs...))
		},
	}
	f.add(c)
	c.Flags().StringVar(&output, "output", "", "write the new key to this `file` and leave the key file alone")
	c.Flags().BoolVar(&finish, "finish", false, "begin nothing: only take up what was cut off, and remove what is due")
	c.Flags().DurationVar(&lifetime, "lifetime", 0, "how long the new key is good for (default the configuration's, or 2160h)")
	c.Flags().DurationVar(&grace, "grace", 0, "how long the old key stays (default the configuration's, or 1h)")
	return c
}

// chosen is a flag's value if it was given.
func chosen(c *cobra.Command, flag string, given, otherwise time.Duration) time.Duration {
	if c.Flags().Changed(flag) {
		return given
	}
	return otherwise
}

func rotate(ctx context.Context, w io.Writer, k *keys.Keeper, forced bool) error {
	out, err := k.Step(ctx, forced)
	name, place := k.Tokens.Name, k.File
	if k.Output != "" {
		place = k.Output
	}
	if out.Rotated != "" {
		fmt.Fprintf(w, "%s: key %s is in %s, good until %s; it replaces key %s, which stays for %s\n",
			name, out.Rotated, place, out.Expiry.UTC().Format(time.RFC3339), out.Old, k.Plan.Grace)
	}
	if len(out.Removed) > 0 {
		fmt.Fprintf(w, "%s: removed key %s\n", name, strings.Join(out.Removed, ", "))
	}
	if err != nil {
		return fmt.Errorf("service user %s: %w", name, err)
	}
	if out.Rotated == "" && len(out.Removed) == 0 {
		fmt.Fprintf(w, "%s: nothing is due\n", name)
	}
	return nil
}

func newKeysRemove() *cobra.Command {
	var f keyFlags
	c := &cobra.Command{
		Use:   "remove --config FILE KEY",
		Short: "Remove a key from ZITADEL by its id, but not the one in use",
		Long: `Remove a key of a service user from ZITADEL by its id, as keys list tells it,
whoever made it. The key in use is refused. Access tokens that the key brought stay
valid until they end: after a theft, lock and unlock the user as well.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := f.one()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), keysTime)
			defer cancel()
			if err := k.Remove(ctx, args[0]); err != nil {
				return failedWith(fmt.Errorf("removing key %s of service user %s: %w", args[0], k.Tokens.Name, err))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: removed key %s\n", k.Tokens.Name, args[0])
			return err
		},
	}
	f.add(c)
	return c
}
