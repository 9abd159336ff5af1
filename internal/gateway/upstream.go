package gateway

import (
	"sync/atomic"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/proxy"
)

// upstream is ZITADEL and the connections to it. Generations share it while it
// is reached in the same way.
type upstream struct {
	*proxy.Upstream
	trust *trusted
	users atomic.Int64 // generations
}

// upstream is the one of cfg: that of before if nothing changed about it.
func (g *Gateway) upstream(cfg *config.Config, trust *trusted, before *generation) (*upstream, error) {
	if before != nil && before.upstream.trust.equal(trust) {
		return before.upstream, nil
	}
	made, err := newUpstream(cfg, trust.tls)
	return &upstream{Upstream: made, trust: trust}, err
}

func (u *upstream) enter() { u.users.Add(1) }

// leave closes idle connections when the last generation leaves.
func (u *upstream) leave() {
	if u.users.Add(-1) == 0 {
		u.Close()
	}
}
