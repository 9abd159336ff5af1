// Package bootstrap creates in ZITADEL what a configuration needs there: service
// users, their keys and their manager roles, with the token of an administrator
// that it is given once.
//
// Every step finds out first what is there, so that it can be run again at any
// time, whatever became of the run before: no user, key or role is made twice.
// Private keys are made here and stay here.
package bootstrap

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/zproxy/zproxy/internal/keys"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// Grant is manager roles that a service user needs.
type Grant struct {
	// Resource is where the roles count. If OwnOrganization is set it is the
	// organization that the service user lives in instead.
	Resource        zitadel.Resource
	OwnOrganization bool
	Roles           []string
}

// User is a service user.
type User struct {
	// Name is its user name in ZITADEL.
	Name   string
	Grants []Grant
	// Keeper looks after its key file.
	Keeper *keys.Keeper
}

// Plan is what is to be there in the end.
type Plan struct {
	Issuer *url.URL
	// Client asks the instance, with the administrator's Token as header value.
	Client *zitadel.Client
	Token  []string
	// Organization is where users are created. If empty, the administrator's own.
	Organization string
	Users        []User
	// DryRun makes calls that only read, and tells which others there would be.
	DryRun bool
	// Out is told each step, a line each.
	Out io.Writer
}

// Run does what is missing for the plan. The error says in one sentence what
// ZITADEL refuses and what to do about it; what was done until then stays, and
// the next run goes on from there.
func (p Plan) Run(ctx context.Context) error {
	r := &run{Plan: p}
	if err := r.instance(ctx); err != nil {
		return err
	}
	if err := r.administrator(ctx); err != nil {
		return err
	}
	for _, u := range p.Users {
		if err := r.user(ctx, u); err != nil {
			return fmt.Errorf("service user %s: %w", u.Name, err)
		}
	}
	return nil
}

// run is one Run.
type run struct{ Plan }

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.Out, format+"\n", args...) }

// would tells of a call that a dry run does not make.
func (r *run) would(call string, body any) {
	r.say("would call  POST /zitadel.%s %s", call, compact(body))
}

// instance makes sure that the instance is the one that is meant.
func (r *run) instance(ctx context.Context) error {
	issuer, err := r.Client.Issuer(ctx)
	if err != nil {
		return r.refused(err, step{doing: "asking the instance who it is"})
	}
	if want := r.Issuer.String(); issuer != want {
		return fmt.Errorf("zitadel says that its issuer is %q and not %q; give that as the issuer", issuer, want)
	}
	return nil
}

// administrator finds out whose the token is, and where users are to live.
func (r *run) administrator(ctx context.Context) error {
	me, err := r.Client.Me(ctx, r.Token)
	if err != nil {
		return r.refused(err, step{doing: "asking whose the administrator's token is"})
	}
	for _, u := range r.Users {
		if strings.EqualFold(u.Name, me.UserName) {
			return fmt.Errorf("the administrator's token is of %s, which is a service user of the configuration; use the token of another user", me.UserName)
		}
	}
	if r.Organization == "" {
		r.Organization = me.Organization
	}
	if r.Organization == "" {
		return fmt.Errorf("zitadel does not tell the organization of the administrator %s; give one with --organization", me.UserName)
	}
	there, err := r.Client.HasOrganization(ctx, r.Token, r.Organization)
	if err != nil {
		return r.refused(err, step{doing: "looking for organization " + r.Organization, needs: "org.read"})
	}
	if !there {
		return fmt.Errorf("there is no organization %s that the administrator %s may see; correct --organization, or use the token of one of its managers", r.Organization, me.UserName)
	}
	r.say("found       administrator %s, working in organization %s", me.UserName, r.Organization)
	return nil
}

// user brings one service user about.
func (r *run) user(ctx context.Context, u User) error {
	account, err := r.account(ctx, u)
	if err != nil {
		return err
	}
	key, err := r.key(ctx, u, account)
	if err != nil {
		return err
	}
	for _, g := range u.Grants {
		if g.OwnOrganization {
			g.Resource = zitadel.Resource{Organization: account.Organization}
		}
		if err := r.grant(ctx, account, g); err != nil {
			return err
		}
	}
	if len(u.Grants) == 0 {
		r.say("granted     nothing: %s needs no role", u.Name)
	}
	if r.DryRun {
		return nil
	}
	return r.prove(ctx, u, account, key)
}
