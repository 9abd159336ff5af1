package gateway

import (
	"crypto/tls"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/keys"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// Asker asks ZITADEL on zproxy's own behalf, with the trust that cfg gives it.
func Asker(cfg *config.Config) (*zitadel.Client, error) {
	trust, _, err := upstreamTLS(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	return asker(cfg, trust), nil
}

// Keeper looks after the key file of u, a service user with one, as its
// configuration says or else by the defaults.
func Keeper(cfg *config.Config, u config.ServiceUser) (*keys.Keeper, error) {
	trust, _, err := upstreamTLS(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	return keeper(cfg, u, trust), nil
}

func keeper(cfg *config.Config, u config.ServiceUser, trust *tls.Config) *keys.Keeper {
	plan := keys.Plan{Lifetime: config.DefaultRotateLifetime, Grace: config.DefaultRotateGrace}
	if r := u.PrivateKeyJWT.Rotate; r != nil {
		plan = keys.Plan(*r)
	}
	return &keys.Keeper{
		File:     u.PrivateKeyJWT.KeyFile,
		Tokens:   serviceuser.Config{Name: u.Name, Issuer: cfg.Upstream.Issuer, Address: cfg.Upstream.Address, Transport: tokenTransport(trust)},
		Registry: asker(cfg, trust),
		Plan:     plan,
	}
}
