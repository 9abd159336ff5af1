package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// description is what ZITADEL's console shows of users that are created here.
const description = "Service user of zproxy"

// account finds or creates the user: the one of the key file where there is
// one, else the one of that name.
func (r *run) account(ctx context.Context, u User) (zitadel.Account, error) {
	held, err := heldBy(u.Keeper.File)
	if err != nil {
		return zitadel.Account{}, err
	}
	var account zitadel.Account
	var there bool
	if held != nil {
		account, there, err = r.Client.UserByID(ctx, r.Token, held.UserID)
	} else {
		account, there, err = r.Client.FindUser(ctx, r.Token, r.Organization, u.Name)
	}
	switch {
	case err != nil:
		return account, r.refused(err, step{doing: "looking for the user", needs: "user.read"})
	case held != nil && !there:
		return account, fmt.Errorf("key file %q is of user %s, and there is none that the administrator may see; remove the file to have a new user and key made, or use the token of a manager of its organization",
			u.Keeper.File, held.UserID)
	case !there:
		return r.create(ctx, u)
	}
	return account, r.usable(account)
}

// usable refuses users that zproxy cannot speak as.
func (r *run) usable(a zitadel.Account) error {
	switch {
	case !a.Machine:
		return fmt.Errorf("%s (%s) is a person's user and no service user; choose another name", a.UserName, a.ID)
	case a.State != "" && a.State != "USER_STATE_ACTIVE":
		return fmt.Errorf("%s (%s) is not active (%s); unlock or reactivate it in ZITADEL", a.UserName, a.ID, a.State)
	}
	r.say("found       user %s (%s)", a.UserName, a.ID)
	return nil
}

func (r *run) create(ctx context.Context, u User) (zitadel.Account, error) {
	account := zitadel.Account{UserName: u.Name, Organization: r.Organization, Machine: true}
	message := zitadel.MachineUser(r.Organization, u.Name, description)
	if r.DryRun {
		r.would("user.v2.UserService/CreateUser", message)
		account.ID = "<id of " + u.Name + ">"
		return account, nil
	}
	id, err := r.Client.CreateMachineUser(ctx, r.Token, message)
	var status *zitadel.StatusError
	if errors.As(err, &status) && status.Status == http.StatusConflict {
		// Of another run that was faster, or in an organization beyond the token's sight.
		if found, there, err := r.Client.FindUser(ctx, r.Token, r.Organization, u.Name); err == nil && there {
			return found, r.usable(found)
		}
		return account, fmt.Errorf("the user name %s is taken by a user that is not in organization %s; choose another name, or that organization", u.Name, r.Organization)
	}
	if err != nil {
		return account, r.refused(err, step{doing: "creating the user", needs: "user.write"})
	}
	account.ID = id
	r.say("created     user %s (%s)", u.Name, id)
	return account, nil
}

// heldBy reads the key file, whose user decides; nil when there is none.
func heldBy(file string) (*serviceuser.KeyFile, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	key, err := serviceuser.ParseKeyFile(content)
	if err != nil {
		return nil, fmt.Errorf("reading key file %q: %w", file, err)
	}
	return key, nil
}

// compact is a message as it is sent.
func compact(message any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // ids that are not known yet are written <so>
	if err := encoder.Encode(message); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(text.String())
}
