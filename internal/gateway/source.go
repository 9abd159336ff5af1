package gateway

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
)

// source is the tokens of one service user. Generations share it while its
// configuration and credential stay as they are: a reload costs no token.
type source struct {
	*serviceuser.Source
	user   config.ServiceUser
	trust  *trusted
	upkeep *upkeep

	users atomic.Int64 // generations
	stop  func()       // nil: not started
}

// sources are those of cfg. What before has and what is the same is shared; the
// faults of several are told together.
func (g *Gateway) sources(cfg *config.Config, trust *trusted, before *generation) (map[string]*source, error) {
	all := make(map[string]*source, len(cfg.ServiceUsers))
	var faults []error
	for _, u := range cfg.ServiceUsers {
		if before != nil {
			if s := before.sources[u.Name]; s != nil && s.is(u, trust) {
				all[u.Name] = s
				continue
			}
		}
		made, err := newSource(cfg, u, trust.tls, g.noteEvent)
		if err != nil {
			faults = append(faults, fmt.Errorf("service user %s: %w", u.Name, err))
			continue
		}
		all[u.Name] = &source{Source: made, user: u, trust: trust, upkeep: newUpkeep(cfg, u, made, trust.tls, g.log, g.metrics.KeyRotated)}
	}
	return all, errors.Join(faults...)
}

// is tells whether s would be made of u anew.
func (s *source) is(u config.ServiceUser, trust *trusted) bool {
	return s.trust.equal(trust) && reflect.DeepEqual(s.user, u) && s.UpToDate()
}

// enter counts one more generation, and starts fetching, and looking after the
// credential, for the first.
func (s *source) enter(j *jobs) {
	if s.users.Add(1) == 1 {
		fetching, upkeep := j.start(s.Run), j.start(s.upkeep.Run)
		s.stop = func() { upkeep(); fetching() }
	}
}

// leave stops fetching when the last generation leaves.
func (s *source) leave() {
	if s.users.Add(-1) == 0 {
		s.stop()
	}
}
