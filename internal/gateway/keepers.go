package gateway

import (
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/keys"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// Asker asks ZITADEL on zproxy's own behalf, with the trust that cfg gives it.
func Asker(cfg *config.Config) (*zitadel.Client, error) {
	trust, err := upstreamTLS(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	return asker(cfg, trust), nil
}

// Keeper looks after the key file of u, a service user with one.
func Keeper(cfg *config.Config, u config.ServiceUser) (*keys.Keeper, error) {
	trust, err := upstreamTLS(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	return &keys.Keeper{
		File:     u.PrivateKeyJWT.KeyFile,
		Tokens:   serviceuser.Config{Name: u.Name, Issuer: cfg.Upstream.Issuer, Address: cfg.Upstream.Address, Transport: tokenTransport(trust)},
		Registry: asker(cfg, trust),
		Plan:     keys.Plan{Lifetime: defaultLifetime, Grace: defaultGrace},
	}, nil
}

// What holds for keys that no plan of the configuration is about.
const (
	defaultLifetime = 90 * 24 * time.Hour
	defaultGrace    = time.Hour
)
