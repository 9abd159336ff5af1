package serviceuser

import (
	"context"
	"fmt"
	"time"
)

// Fetch obtains one access token with a key that no source uses: the proof that
// ZITADEL takes the key. It tries once and keeps nothing. The Generation of the
// token is 0. The error is a [*FetchError] when the request was made.
func Fetch(ctx context.Context, cfg Config, key *KeyFile) (*Token, error) {
	clock := cfg.Clock
	if clock == nil {
		clock = time.Now
	}
	now := func() time.Time { return clock().Round(0) }
	e, err := newEndpoint(cfg.Issuer, cfg.Address, cfg.Transport, now)
	if err != nil {
		return nil, fmt.Errorf("setting up service user %q: %w", cfg.Name, err)
	}
	i, err := keyMinter{key}.mint(ctx, e, now())
	if err != nil {
		return nil, err
	}
	return &Token{Authorization: []string{"Bearer " + i.value.reveal()}, Expiry: i.expiry}, nil
}
