package gateway

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/keys"
	"github.com/zproxy/zproxy/internal/zitadel"
)

const (
	// warnBefore is how long before the end of a credential operators are warned,
	// and warnEvery how often.
	warnBefore = 30 * 24 * time.Hour
	warnEvery  = 24 * time.Hour
	// askEvery is how often ZITADEL is asked when a personal access token ends.
	askEvery = time.Hour
)

// upkeep looks after the credential of one service user beside its tokens: it
// replaces a key when it is due, and warns before what cannot be replaced ends.
type upkeep struct {
	user    config.ServiceUser
	source  *serviceuser.Source
	keeper  *keys.Keeper // nil: the key is not replaced
	ask     *zitadel.Client
	log     zerolog.Logger
	rotated func(serviceUser string, err error)
	end     atomic.Pointer[time.Time]
}

func newUpkeep(cfg *config.Config, u config.ServiceUser, source *serviceuser.Source, trust *tls.Config, log zerolog.Logger, rotated func(string, error)) *upkeep {
	k := &upkeep{user: u, source: source, ask: asker(cfg, trust), log: log.With().Str("service_user", u.Name).Logger(), rotated: rotated}
	switch {
	case u.PrivateKeyJWT != nil && u.PrivateKeyJWT.Rotate != nil:
		k.keeper = keeper(cfg, u, trust)
	case u.ClientCredentials != nil:
		k.ends(u.ClientCredentials.Expires)
	case u.PersonalAccessToken != nil:
		k.ends(u.PersonalAccessToken.Expires)
	}
	return k
}

// Run works until ctx ends.
func (k *upkeep) Run(ctx context.Context) error {
	var running sync.WaitGroup
	if k.keeper != nil {
		running.Go(func() { k.keeper.Run(ctx, k.tell) })
	}
	if p := k.user.PersonalAccessToken; p != nil || k.user.ClientCredentials != nil {
		running.Go(func() { k.watch(ctx, p != nil && p.Expires.IsZero()) })
	}
	running.Wait()
	return nil
}

// tell tells the operator what became of a key.
func (k *upkeep) tell(out keys.Outcome, err error) {
	if out.Rotated != "" {
		k.log.Info().Str("key", out.Rotated).Str("replaces", out.Old).Time("expires", out.Expiry).Msg("key replaced; the old one is removed after its grace")
		k.rotated(k.user.Name, nil)
	}
	for _, id := range out.Removed {
		k.log.Info().Str("key", id).Msg("key removed from zitadel")
	}
	if err != nil {
		k.log.Warn().Err(err).Msg("looking after the key failed; the one in use stays in use, and it is tried again")
		k.rotated(k.user.Name, err)
	}
}

// watch warns once a day of a secret or token that is about to end.
func (k *upkeep) watch(ctx context.Context, asks bool) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	var warned time.Time
	for {
		if asks {
			k.learn(ctx)
		}
		now := time.Now()
		if end := k.expiry(); !end.IsZero() && end.Sub(now) < warnBefore && now.Sub(warned) >= warnEvery {
			warned = now
			k.log.Warn().Time("expires", end).Msg("credential-expiring: store a new one in its file; it is taken up without a restart")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// learn asks ZITADEL when the personal access token ends. Lists do not tell
// which of several it is, so that the first to end counts.
func (k *upkeep) learn(ctx context.Context) {
	token, err := k.source.Next(ctx, nil)
	if err != nil {
		return // the source tells of that itself
	}
	me, err := k.ask.Me(ctx, token.Authorization)
	var all []zitadel.Key
	if err == nil {
		all, err = k.ask.PersonalAccessTokens(ctx, token.Authorization, me.ID)
	}
	if err != nil {
		if ctx.Err() == nil {
			k.log.Warn().Err(err).Msg("learning when the personal access token ends failed; write expires beside token_file, or wait for the next try")
		}
		return
	}
	var first time.Time
	for _, t := range all {
		if t.Expiry.After(time.Now()) && (first.IsZero() || t.Expiry.Before(first)) {
			first = t.Expiry
		}
	}
	k.ends(first)
}

func (k *upkeep) ends(at time.Time) { k.end.Store(&at) }

// expiry is when the credential ends, as far as it is known; see [serviceuser.Status].
func (k *upkeep) expiry() time.Time {
	if end := k.end.Load(); end != nil && !end.IsZero() {
		return *end
	}
	return k.source.Status().CredentialExpiry
}
