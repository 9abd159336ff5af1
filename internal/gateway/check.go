package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/policy"
)

// Level says what a finding of [Check] means.
type Level string

// The levels of findings.
const (
	OK      Level = "ok"
	Warning Level = "warning" // works, and is hardly meant
	Fault   Level = "fault"   // zproxy cannot serve as configured
)

// Finding is one sentence about the configuration, with its fix where there is one.
type Finding struct {
	Level   Level  `json:"level"`
	About   string `json:"about"` // "rule crm-reads-users", "service user reader"
	Message string `json:"message"`
}

// Check reads every file that cfg names and, unless offline, gets a token for
// each service user and makes one harmless call with it. Findings come in the
// order of the configuration. The error tells of rules that do not compile.
func Check(ctx context.Context, cfg *config.Config, offline bool) ([]Finding, error) {
	_, rules, err := Rules(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	findings := checkRules(cfg, rules)
	pool, err := roots(cfg.Upstream.CAFile)
	if err != nil {
		findings = append(findings, Finding{Fault, "upstream", err.Error()})
	}
	transport := tokenTransport(cfg.Upstream.Issuer.Hostname(), pool)
	defer transport.CloseIdleConnections()
	caller := checker{cfg: cfg, client: &http.Client{Transport: transport, CheckRedirect: noRedirect}}
	if !offline {
		findings = append(findings, caller.discovery(ctx))
	}
	for _, u := range cfg.ServiceUsers {
		source, err := newSource(cfg, u, pool, zerolog.Nop())
		switch {
		case err != nil:
			findings = append(findings, Finding{Fault, "service user " + u.Name, err.Error()})
		case offline:
			findings = append(findings, Finding{OK, "service user " + u.Name, "its credential can be read"})
		default:
			findings = append(findings, caller.try(ctx, u, source))
		}
	}
	return findings, nil
}

// checkRules tells what compiles and is hardly meant.
func checkRules(cfg *config.Config, rules *policy.Policy) []Finding {
	var out []Finding
	for _, w := range rules.Warnings() {
		out = append(out, Finding{Warning, "rule " + w.Rule, w.Message})
	}
	var owned []string
	for _, l := range cfg.Listeners {
		if l.Anonymous != "" {
			owned = append(owned, "anonymous:"+l.Anonymous)
		}
		for _, u := range l.Unix {
			owned = append(owned, "unix:"+u.Name)
		}
	}
	for _, r := range cfg.Rules {
		for _, name := range r.Callers {
			caller, err := authn.ParseCaller(name)
			if err == nil && (caller.Kind() == authn.KindAnonymous || caller.Kind() == authn.KindUnix) && !slices.Contains(owned, name) {
				out = append(out, Finding{Warning, "rule " + r.Name, "no listener has the caller " + name + "; add it to a listener, or remove it here"})
			}
		}
	}
	used := rules.RequiredServiceUsers()
	for _, u := range cfg.ServiceUsers {
		if !slices.Contains(used, u.Name) {
			out = append(out, Finding{Warning, "service user " + u.Name, "no rule serves as it; remove it, and its credential with it"})
		}
	}
	return out
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// checker asks ZITADEL.
type checker struct {
	cfg    *config.Config
	client *http.Client
}

// discovery compares the configured issuer with the one that ZITADEL says it is.
func (c checker) discovery(ctx context.Context) Finding {
	about := "upstream"
	var document struct {
		Issuer string `json:"issuer"`
	}
	status, err := c.get(ctx, "/.well-known/openid-configuration", nil, &document)
	want := c.cfg.Upstream.Issuer.String()
	switch {
	case err != nil:
		return Finding{Fault, about, err.Error() + "; check upstream.issuer, upstream.address and the network"}
	case status == http.StatusNotFound:
		return Finding{Fault, about, "zitadel has no instance under " + c.cfg.Upstream.Issuer.Host + "; upstream.issuer must be a domain of the instance"}
	case status != http.StatusOK:
		return Finding{Fault, about, fmt.Sprintf("zitadel answers HTTP %d to discovery; is upstream.address really ZITADEL?", status)}
	case document.Issuer != want:
		return Finding{Fault, about, fmt.Sprintf("zitadel says that its issuer is %q and not %q; put that into upstream.issuer", document.Issuer, want)}
	}
	return Finding{OK, about, "it is the instance " + want}
}

// try gets a token and calls what works with any valid one.
func (c checker) try(ctx context.Context, u config.ServiceUser, s *serviceuser.Source) Finding {
	about := "service user " + u.Name
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) }) // its errors come out of Next
	defer func() { cancel(); running.Wait() }()
	token, err := s.Next(ctx, nil)
	if err != nil {
		var unavailable *serviceuser.UnavailableError
		if errors.As(err, &unavailable) && errors.Unwrap(unavailable) != nil {
			err = errors.Unwrap(unavailable) // with the details that callers do not get
		}
		return Finding{Fault, about, err.Error()}
	}
	if u.SystemUser != nil {
		return Finding{OK, about, "its tokens can be signed; system users have no call that tries them without effect"}
	}
	var me struct {
		User struct {
			ID       string `json:"id"`
			UserName string `json:"userName"`
		} `json:"user"`
	}
	status, err := c.get(ctx, "/auth/v1/users/me", token, &me)
	switch {
	case err != nil:
		return Finding{Fault, about, err.Error()}
	case status == http.StatusUnauthorized:
		return Finding{Fault, about, "zitadel refuses its token; is it of this instance, and the user neither locked nor deactivated?"}
	case status != http.StatusOK:
		return Finding{Fault, about, fmt.Sprintf("zitadel answers HTTP %d to a call with its token", status)}
	case s.UserID() == "":
		return Finding{Warning, about, fmt.Sprintf("it works, as %s; add user_id: %q to it, so that requests aimed at it are refused", me.User.UserName, me.User.ID)}
	case s.UserID() != me.User.ID:
		return Finding{Fault, about, fmt.Sprintf("its user_id is %s, and its token is of user %s; correct user_id", s.UserID(), me.User.ID)}
	}
	return Finding{OK, about, "it works, as " + me.User.UserName}
}

// get asks ZITADEL under the issuer's name and decodes a JSON answer of status 200.
func (c checker) get(ctx context.Context, path string, token *serviceuser.Token, into any) (int, error) {
	at := c.cfg.Upstream.Issuer
	if c.cfg.Upstream.Address != nil {
		at = c.cfg.Upstream.Address
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	target := url.URL{Scheme: at.Scheme, Host: at.Host, Path: path}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return 0, err
	}
	r.Host = c.cfg.Upstream.Issuer.Host
	if token != nil {
		r.Header["Authorization"] = token.Authorization
	}
	res, err := c.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("asking zitadel: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into); err != nil {
		return 0, fmt.Errorf("reading zitadel's answer to %s: %w; is upstream.address really ZITADEL?", path, err)
	}
	return res.StatusCode, nil
}
