package spiffe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// watcher hears what the Workload API answers.
type watcher struct {
	s   *Source
	ctx context.Context
}

// OnX509ContextUpdate implements [workloadapi.X509ContextWatcher].
func (w *watcher) OnX509ContextUpdate(answer *workloadapi.X509Context) {
	s := w.s
	m, err := take(answer, s.current.Load(), s.config.Clock())
	s.current.Store(m)
	s.note(err)
	if err == nil {
		leaf := m.certificate.Leaf
		s.config.Log.Info().Str("spiffe_id", m.id).Time("expires", leaf.NotAfter).Strs("dns_names", leaf.DNSNames).Int("trust_domains", len(m.bundles)).
			Msg("X.509-SVID and trust bundles taken from the SPIFFE Workload API")
	}
	s.updated()
}

// OnX509ContextWatchError implements [workloadapi.X509ContextWatcher].
func (w *watcher) OnX509ContextWatchError(err error) {
	if w.ctx.Err() != nil { // zproxy ends
		return
	}
	s := w.s
	denied := status.Code(err) == codes.PermissionDenied
	s.note(explain(err))
	if denied && s.withdraw() {
		s.config.Log.Warn().Msg("the SPIFFE agent has withdrawn the X.509-SVID and the trust bundles; handshakes are refused")
		s.updated()
	}
	s.first.Do(func() { close(s.asked) })
}

// withdraw forgets all, and reports whether there was anything.
func (s *Source) withdraw() bool {
	had := s.current.Swap(new(material))
	return had.certificate != nil || len(had.bundles) > 0
}

// updated tells of an answer that changed something.
func (s *Source) updated() {
	if s.config.Updated != nil {
		s.config.Updated()
	}
	s.first.Do(func() { close(s.asked) })
}

// note keeps how the last attempt went, and logs failures when they begin or
// become others, and once in a while.
func (s *Source) note(err error) {
	s.mu.Lock()
	before := s.err
	s.err = err
	s.failures++
	if err == nil {
		s.failures = 0
	}
	failures := s.failures
	s.mu.Unlock()
	if err != nil && (before == nil || before.Error() != err.Error() || failures%every == 0) {
		s.config.Log.Error().Err(err).Int("failures", failures).Msg("asking the SPIFFE Workload API failed; what it gave before stays in use")
	}
}

// every is how many failures in a row get one line in the log: some minutes' worth.
const every = 60

// explain says what a failure of the client means, and what to do.
func explain(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the agent ended the stream")
	}
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("its answer was discarded: %w", err)
	}
	switch s.Code() {
	case codes.PermissionDenied:
		return fmt.Errorf("the agent entitles this process to no identity (%.300s); register zproxy there, by its user or its container", s.Message())
	case codes.Unavailable:
		return fmt.Errorf("the agent cannot be reached (%.300s); start it, and let the user that zproxy runs as connect to its socket", s.Message())
	}
	return fmt.Errorf("the agent answers %s: %.300s", s.Code(), s.Message())
}

// Status is how a source stands, for readiness and metrics.
type Status struct {
	ID                  string    // the SPIFFE ID of the SVID; "" without one
	NotBefore, NotAfter time.Time // of the SVID; zero without one
	Err                 error     // as of [Source.Err]
}

// Status returns what is known now.
func (s *Source) Status() Status {
	m := s.current.Load()
	status := Status{ID: m.id, Err: s.Err()}
	if m.certificate != nil {
		status.NotBefore, status.NotAfter = m.certificate.Leaf.NotBefore, m.certificate.Leaf.NotAfter
	}
	return status
}
