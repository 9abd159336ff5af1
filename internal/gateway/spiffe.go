package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/spiffe"
)

// bySPIFFE lets the Workload API prove l. What it gives reaches the verifier at
// once, so that connections of callers end whose bundle is withdrawn.
func (s *secured) bySPIFFE(l config.Listener, log zerolog.Logger) error {
	log = log.With().Str("listener", l.Name).Logger()
	var err error
	s.spiffe, err = spiffe.New(spiffe.Config{WorkloadAPI: l.TLS.SPIFFE.WorkloadAPI, Log: log, Updated: func() {
		if s.verifier != nil {
			// A CRL file that cannot be read is told of when it changes; it holds up no bundle.
			_, _ = s.verifier.Reload()
			for _, complaint := range s.verifier.Complaints() {
				log.Warn().Msg(complaint)
			}
		}
		if s.taken != nil {
			s.taken()
		}
	}})
	return err
}

// first waits for what the Workload API gives first, so that those who call at
// once are served; until ctx ends, for an agent may not be there.
func (s *secured) first(ctx context.Context) {
	if s.spiffe != nil {
		s.spiffe.First(ctx)
	}
}

// concern is what is wrong and keeps nobody from being served, "" if nothing is.
func (s *secured) concern() string {
	if s.spiffe == nil {
		return ""
	}
	if err := s.spiffe.Err(); err != nil {
		return "asking the SPIFFE Workload API: " + err.Error()
	}
	if s.verifier != nil {
		return strings.Join(s.verifier.Complaints(), "; ")
	}
	return ""
}

// askFor is how long an agent has for its answer to a check.
const askFor = 3 * time.Second

// checkSPIFFE asks the agent once.
func checkSPIFFE(ctx context.Context, about string, s *spiffe.Source, offline bool) Finding {
	if offline {
		return Finding{Level: OK, About: about, Message: "its certificate comes from the SPIFFE Workload API; the agent was not asked"}
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.First(ctx)
	cancel()
	if err := <-ended; err != nil {
		return Finding{Level: Fault, About: about, Message: err.Error()}
	}
	if err := s.Fault(); err != nil {
		return Finding{Level: Fault, About: about, Message: err.Error()}
	}
	status := s.Status()
	var domains []string
	for _, b := range s.Bundles() {
		domains = append(domains, b.TrustDomain)
	}
	return Finding{Level: OK, About: about, Message: "it is " + status.ID + " until " + status.NotAfter.UTC().Format(time.RFC3339) +
		", and has trust bundles of " + strings.Join(domains, ", ")}
}
