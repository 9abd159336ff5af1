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
	c := cfg.Upstream
	if before != nil && before.upstream.trust.equal(trust) && before.cfg.Upstream.Timeouts == c.Timeouts && before.cfg.Upstream.MaxInFlight == c.MaxInFlight {
		return before.upstream, nil
	}
	made, err := proxy.NewUpstream(proxy.UpstreamConfig{
		Issuer: c.Issuer, Address: c.Address, TLS: trust.tls,
		Timeouts: proxy.Timeouts(c.Timeouts), MaxInFlight: c.MaxInFlight, CircuitChanged: g.noteCircuit,
	})
	return &upstream{Upstream: made, trust: trust}, err
}

// noteCircuit counts that the circuit opened or closed, and tells the operator.
func (g *Gateway) noteCircuit(open bool, why string) {
	g.metrics.Circuit(open)
	if open {
		g.log.Error().Str("why", why).Msg("zitadel does not answer; requests are refused at once, but for one probe a second")
		return
	}
	g.log.Info().Msg("zitadel answers again")
}

func (u *upstream) enter() { u.users.Add(1) }

// leave closes idle connections when the last generation leaves.
func (u *upstream) leave() {
	if u.users.Add(-1) == 0 {
		u.Close()
	}
}
