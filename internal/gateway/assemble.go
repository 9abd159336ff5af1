package gateway

import (
	"fmt"
	"net/http"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/proxy"
	"github.com/zproxy/zproxy/proxy/limit"
)

// build makes a generation of cfg, and opens what before has not got. Nothing
// of it runs or serves yet; on an error nothing of it is left.
func (g *Gateway) build(cfg *config.Config, before *generation) (*generation, error) {
	n := &generation{cfg: cfg, loaded: g.options.now(), handlers: make(map[string]http.Handler), left: make(chan struct{})}
	n.users.Store(1)
	if err := g.assemble(n, before); err != nil {
		n.abandon(before)
		return nil, err
	}
	return n, nil
}

func (g *Gateway) assemble(n, before *generation) error {
	var err error
	if n.catalogue, n.policy, err = Rules(n.cfg, g.options.now()); err != nil {
		return err
	}
	for _, w := range n.policy.Warnings() {
		g.log.Warn().Str("rule", w.Rule).Msg(w.Message)
	}
	if n.trust, err = newTrusted(n.cfg.Upstream); err != nil {
		return err
	}
	if n.upstream, err = g.upstream(n.cfg, n.trust, before); err != nil {
		return err
	}
	if n.sources, err = g.sources(n.cfg, n.trust, before); err != nil {
		return err
	}
	if n.issuers, err = g.issuers(n.cfg, before); err != nil {
		return err
	}
	n.own = ownUsers(n.cfg, n.sources, n.trust.tls, g.log)
	if before != nil {
		n.own.Inherit(before.own)
	}
	if err = g.openAudit(n); err != nil {
		return err
	}
	if err = g.makeProxy(n, before); err != nil {
		return err
	}
	return g.fronts(n, before)
}

// openAudit opens the log, or the file with which it is to go on.
func (g *Gateway) openAudit(n *generation) error {
	var err error
	if g.audit == nil {
		g.audit, err = audit.Open(audit.Options{File: n.cfg.Audit.File, Clock: g.options.Clock})
	} else {
		n.next, err = g.audit.Prepare(n.cfg.Audit.File)
	}
	if err != nil {
		return fmt.Errorf("opening audit log (audit.file): %w", err)
	}
	return nil
}

func (g *Gateway) makeProxy(n, before *generation) error {
	users := make(map[string]proxy.ServiceUser, len(n.sources))
	for name, s := range n.sources {
		users[name] = s
	}
	ruleLimits := make(map[string]limit.Limit)
	for _, r := range n.cfg.Rules {
		if r.Limit != nil {
			ruleLimits[r.Name] = limit.Limit(*r.Limit)
		}
	}
	c := proxy.Config{
		Catalogue: n.catalogue, Policy: n.policy, ServiceUsers: users, OwnUsers: n.own.Known, Upstream: n.upstream.Upstream, Audit: g.metrics.Count(g.audit),
		ForwardHeaders: proxy.NewHeaderPatterns(n.cfg.Upstream.ForwardHeaders),
		HeaderBytes:    n.cfg.Limits.HeaderBytes, BodyBytes: n.cfg.Limits.BodyBytes, InspectBytes: n.cfg.Limits.InspectBody, InspectTotal: n.cfg.Limits.InspectAll, Stall: n.cfg.Limits.Stall,
		UpstreamLimit: (*limit.Limit)(n.cfg.Upstream.Limit), RuleLimits: ruleLimits, Hints: n.cfg.Hints,
		Log: g.log, Observe: g.metrics.Observe, Trace: g.options.Trace, Clock: g.options.Clock, NewID: g.options.NewID,
	}
	if before != nil {
		c.Before = before.proxy
	}
	var err error
	n.proxy, err = proxy.New(c)
	return err
}
