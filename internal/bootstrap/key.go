package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// key sees to it that the key file has a key that ZITADEL takes.
func (r *run) key(ctx context.Context, u User, a zitadel.Account) (*serviceuser.KeyFile, error) {
	if r.DryRun {
		r.dryKey(u, a)
		return nil, nil
	}
	key, made, err := u.Keeper.Enroll(ctx, r.Token, a.ID)
	var refused *serviceuser.FetchError
	switch {
	case errors.As(err, &refused) && !made && key != nil:
		return nil, fmt.Errorf("%w; remove the file to have a new key made", err)
	case err != nil:
		return nil, r.refused(err, step{doing: "registering a key", needs: "user.write"})
	case made:
		r.say("registered  key %s of %s, in %s until %s", key.KeyID, u.Name, u.Keeper.File, day(key.Expiry))
	default:
		r.say("kept        key %s of %s, in %s", key.KeyID, u.Name, u.Keeper.File)
	}
	return key, nil
}

func (r *run) dryKey(u User, a zitadel.Account) {
	if _, err := os.Stat(u.Keeper.File); err == nil {
		r.say("would keep  key file %s, if a token is issued for it", u.Keeper.File)
		return
	}
	r.would("user.v2.UserService/AddKey", map[string]any{
		"userId": a.ID, "publicKey": "<public half of a pair made here>", "expirationDate": time.Now().Add(u.Keeper.Plan.Lifetime).UTC().Format(time.DateOnly),
	})
	r.say("would write key file %s, mode 0600", u.Keeper.File)
}

// prove makes a real call as the service user.
func (r *run) prove(ctx context.Context, u User, a zitadel.Account, key *serviceuser.KeyFile) error {
	token, err := serviceuser.Fetch(ctx, u.Keeper.Tokens, key)
	if err != nil {
		return fmt.Errorf("getting a token as the service user: %w", err)
	}
	me, err := r.Client.Me(ctx, token.Authorization)
	if err != nil {
		return fmt.Errorf("making a call as the service user: %w", err)
	}
	if me.ID != a.ID {
		return fmt.Errorf("making a call as the service user: zitadel says that the token is of user %s and not %s; remove %s and run again", me.ID, a.ID, u.Keeper.File)
	}
	r.say("proved      zitadel answers %s as %s", u.Name, me.ID)
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
