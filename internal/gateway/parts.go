package gateway

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/ownuser"
	"github.com/zproxy/zproxy/internal/zitadel"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// Rules compiles the rules of cfg against the catalogue of this build and the
// unlisted operations that cfg adds, and puts them to the tests of cfg. It reads
// no files and opens nothing.
func Rules(cfg *config.Config, now time.Time) (*operation.Catalogue, *policy.Policy, error) {
	catalogue, err := operation.Default()
	if err != nil {
		return nil, nil, err
	}
	unlisted := make([]operation.Name, len(cfg.Unlisted))
	for i, name := range cfg.Unlisted {
		unlisted[i] = operation.Name(name)
	}
	if catalogue, err = catalogue.WithUnlisted(unlisted...); err != nil {
		return nil, nil, config.Faults{cfg.Fault("unlisted_operations", err.Error(), "")}
	}
	var faults config.Faults
	rules := make([]policy.Rule, len(cfg.Rules))
	for i, r := range cfg.Rules {
		rules[i] = policy.Rule{
			Name: r.Name, Callers: r.Callers, Operations: r.Operations, Except: r.Except, Hazards: r.Hazards,
			Organizations: r.Organizations, When: r.When, As: r.As, Shadow: r.Shadow, Learn: r.Learn, Until: r.Until,
		}
		if r.Learn && r.Until.Sub(now) > longestLearning {
			path := fmt.Sprintf("rules[%d].until", i)
			faults = append(faults, cfg.Fault(path, path+": a rule that learns ends within 31 days", "choose an earlier date, and prolong it if need be"))
		}
	}
	compiled, err := policy.Compile(catalogue, rules)
	if err = placed(cfg, err, faults); err != nil {
		return nil, nil, err
	}
	return catalogue, compiled, tested(cfg, catalogue, compiled, now)
}

// longestLearning bounds how long a rule may cover more than is known to be needed.
const longestLearning = 31 * 24 * time.Hour

// tested runs the tests of cfg.
func tested(cfg *config.Config, catalogue *operation.Catalogue, p *policy.Policy, now time.Time) error {
	var faults config.Faults
	for i, t := range cfg.Tests {
		if wrong := Case(t, now).failed(catalogue, p); wrong != "" {
			path := fmt.Sprintf("tests[%d]", i)
			faults = append(faults, cfg.Fault(path, path+": "+wrong, "mend the rules, or the test"))
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// placed gives the faults of rules their places in the file, after others.
func placed(cfg *config.Config, err error, out config.Faults) error {
	var faults policy.Faults
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	for _, f := range faults {
		path := fmt.Sprintf("rules[%d].%s", f.Index, f.Field)
		if f.Item >= 0 {
			path = fmt.Sprintf("%s[%d]", path, f.Item)
		}
		out = append(out, cfg.Fault(path, path+": "+f.Message, f.Fix))
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// newSource reads the credential of one service user.
func newSource(cfg *config.Config, u config.ServiceUser, trust *tls.Config, observe func(serviceuser.Event)) (*serviceuser.Source, error) {
	return serviceuser.New(serviceuser.Config{
		Name: u.Name, Issuer: cfg.Upstream.Issuer, Address: cfg.Upstream.Address,
		Transport: tokenTransport(trust),
		Observe:   observe,
	}, credential(u))
}

// ownUsers keeps track of whose the tokens of sources are. System users are no
// users of the instance.
func ownUsers(cfg *config.Config, sources map[string]*source, trust *tls.Config, log zerolog.Logger) *ownuser.Users {
	var fixed, replaceable []ownuser.Source
	for _, u := range cfg.ServiceUsers {
		switch {
		case u.SystemUser != nil:
		case u.PersonalAccessToken != nil:
			replaceable = append(replaceable, sources[u.Name].Source)
		default:
			fixed = append(fixed, sources[u.Name].Source)
		}
	}
	return ownuser.New(asker(cfg, trust), log, fixed, replaceable)
}

// asker asks ZITADEL on zproxy's own behalf.
func asker(cfg *config.Config, trust *tls.Config) *zitadel.Client {
	return zitadel.New(cfg.Upstream.Issuer, cfg.Upstream.Address, tokenTransport(trust))
}

// credential is the one kind that the configuration gives u.
func credential(u config.ServiceUser) serviceuser.Credential {
	switch {
	case u.PrivateKeyJWT != nil:
		return serviceuser.PrivateKeyJWT(u.PrivateKeyJWT.KeyFile)
	case u.ClientCredentials != nil:
		c := u.ClientCredentials
		return serviceuser.ClientCredentials(c.ClientID, c.ClientSecretFile).WithUserID(c.UserID)
	case u.PersonalAccessToken != nil:
		return serviceuser.PersonalAccessToken(u.PersonalAccessToken.TokenFile).WithUserID(u.PersonalAccessToken.UserID)
	default:
		c := u.SystemUser
		return serviceuser.SystemUser(c.User, c.KeyFile, c.Audience)
	}
}

// tokenTransport reaches the token endpoint with the same trust as requests go upstream with.
func tokenTransport(trust *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig:     trust.Clone(),
		TLSHandshakeTimeout: 5 * time.Second,
		// Tokens are fetched hours apart: an idle connection would only be found dead.
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
