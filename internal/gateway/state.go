package gateway

import (
	"time"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/telemetry"
)

// names are what labels of metrics take their values from.
func names(cfg *config.Config, loaded time.Time) telemetry.Names {
	n := telemetry.Names{Loaded: loaded}
	for _, l := range cfg.Listeners {
		n.Listeners = append(n.Listeners, l.Name)
	}
	for _, u := range cfg.ServiceUsers {
		n.ServiceUsers = append(n.ServiceUsers, u.Name)
	}
	for _, r := range cfg.Rules {
		n.Operations = append(n.Operations, r.Operations...)
	}
	return n
}

// shown is how things are, for the metrics.
func (g *Gateway) shown() telemetry.State {
	n := g.current.Load()
	r := g.readiness(n)
	s := telemetry.State{
		Ready: r.Ready, AuditHealthy: r.Audit.Ready,
		InFlight: n.upstream.InFlight(), CircuitOpen: n.upstream.CircuitOpen(),
		Issuers: n.issuerStates(),
	}
	for name, source := range n.sources {
		now := source.Status()
		s.ServiceUsers = append(s.ServiceUsers, telemetry.ServiceUser{
			Name: name, Ready: r.ServiceUsers[name].Ready, TokenExpiry: now.Expiry, CredentialExpiry: source.upkeep.expiry(),
		})
	}
	for _, f := range n.fronts {
		if f.secured == nil {
			continue
		}
		l := telemetry.Listener{Name: f.name, CertificateExpiry: f.secured.notAfter()}
		if f.secured.verifier != nil {
			l.CRLExpiry, _ = f.secured.verifier.NextUpdate()
		}
		s.Listeners = append(s.Listeners, l)
	}
	return s
}
