package gateway

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/telemetry"
)

// issuer keeps the keys of one issuer of tokens at one listener. Generations
// share it while its configuration stays as it is: a reload costs no key.
type issuer struct {
	*workload.Issuer
	listener string
	made     config.JWTIssuer

	users atomic.Int64 // generations
	stop  func()       // nil: not started
}

// newIssuer reads the files that an issuer's keys need, and fetches nothing.
func newIssuer(i config.JWTIssuer, log zerolog.Logger) (*workload.Issuer, error) {
	return workload.New(workload.Config{
		Name: i.Name, Issuer: i.Issuer, Audience: i.Audience, JWKSURL: i.JWKSURL, JWKSFile: i.JWKSFile,
		CAFile: i.CAFile, BearerTokenFile: i.BearerTokenFile, Log: log,
	})
}

// issuers are those of cfg. What before has and what is the same is shared.
func (g *Gateway) issuers(cfg *config.Config, before *generation) (map[string]*issuer, error) {
	all := make(map[string]*issuer)
	for _, l := range cfg.Listeners {
		for _, i := range l.BearerJWT {
			key := l.Name + "/" + i.Name
			if before != nil && before.issuers[key] != nil && before.issuers[key].made == i {
				all[key] = before.issuers[key]
				continue
			}
			made, err := newIssuer(i, g.log.With().Str("listener", l.Name).Logger())
			if err != nil {
				return nil, fmt.Errorf("preparing listener %s: %w", l.Name, err)
			}
			if before != nil && before.issuers[key] != nil {
				made.Inherit(before.issuers[key].Issuer)
			}
			all[key] = &issuer{Issuer: made, listener: l.Name, made: i}
		}
	}
	return all, nil
}

// enter counts one more generation, and starts fetching for the first.
func (i *issuer) enter(j *jobs) {
	if i.users.Add(1) == 1 {
		i.stop = j.start(func(ctx context.Context) error { return i.Run(ctx) })
	}
}

// leave stops fetching when the last generation leaves.
func (i *issuer) leave() {
	if i.users.Add(-1) == 0 {
		i.stop()
	}
}

// first waits for the first fetch, whatever comes of it.
func (i *issuer) first(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for status := i.Status(); status.Fetched.IsZero() && status.Err == nil; status = i.Status() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// bearers are the callers of a listener that shows tokens.
func (n *generation) bearers(l config.Listener) (authn.Authenticator, error) {
	sources, err := authn.NewSources(l.AllowFrom)
	if err != nil {
		return nil, err
	}
	all := make([]*workload.Issuer, len(l.BearerJWT))
	for at, i := range l.BearerJWT {
		all[at] = n.issuers[l.Name+"/"+i.Name].Issuer
	}
	return workload.NewCallers(sources, all...)
}

// issuerReadiness is what /readyz says of the keys of one issuer.
type issuerReadiness struct {
	Ready   bool       `json:"ready"`
	Keys    int        `json:"keys"`
	Fetched *time.Time `json:"fetched,omitempty"`
	Error   string     `json:"error,omitempty"`
}

// issuersReady tells of each issuer, as "<listener>/<name>", and whether the keys
// of all have been had since the start. One that is lost later is told of and
// takes nothing out of service: callers that have other proofs go on.
func (n *generation) issuersReady() (all map[string]issuerReadiness, ready bool) {
	ready = true
	for name, i := range n.issuers {
		status := i.Status()
		r := issuerReadiness{Ready: status.Ready, Keys: status.Keys}
		if !status.Fetched.IsZero() {
			r.Fetched = &status.Fetched
		}
		if status.Err != nil {
			r.Error = status.Err.Error()
		}
		if all == nil {
			all = make(map[string]issuerReadiness)
		}
		all[name] = r
		ready = ready && !status.Fetched.IsZero()
	}
	return all, ready
}

// issuerStates are for the metrics.
func (n *generation) issuerStates() []telemetry.Issuer {
	var all []telemetry.Issuer
	for _, i := range n.issuers {
		status := i.Status()
		all = append(all, telemetry.Issuer{Listener: i.listener, Name: i.made.Name, Ready: status.Ready, Keys: status.Keys, Fetched: status.Fetched})
	}
	return all
}

// checkIssuers reads the files of issuers and, unless offline, fetches their keys.
func checkIssuers(ctx context.Context, cfg *config.Config, offline bool) []Finding {
	var out []Finding
	for _, l := range cfg.Listeners {
		for _, i := range l.BearerJWT {
			out = append(out, checkIssuer(ctx, fmt.Sprintf("listener %s, issuer %s", l.Name, i.Name), i, offline))
		}
	}
	return out
}

func checkIssuer(ctx context.Context, about string, i config.JWTIssuer, offline bool) Finding {
	keys, err := newIssuer(i, zerolog.Nop())
	if err == nil && offline && i.JWKSFile == "" {
		return Finding{Level: OK, About: about, Message: "its files can be read; its keys were not fetched"}
	}
	if err == nil {
		err = keys.Fetch(ctx)
	}
	if err != nil {
		return Finding{Level: Fault, About: about, Message: err.Error()}
	}
	return Finding{Level: OK, About: about, Message: fmt.Sprintf("it has %d keys that tokens can be verified with", keys.Status().Keys)}
}

// issuerOf is the issuer's name in a caller or pattern "jwt:<name>/<subject>".
func issuerOf(p authn.Pattern) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(p.String(), "jwt:"), "/")
	return name
}
