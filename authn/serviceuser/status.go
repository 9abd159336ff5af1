package serviceuser

import "time"

// Status is a snapshot of a source, for readiness and metrics.
type Status struct {
	// Ready is whether Token would return one.
	Ready bool
	// Generation counts the tokens obtained so far.
	Generation uint64
	// Expiry is when the current token ends; zero when there is none or it does
	// not say.
	Expiry time.Time
	// CredentialExpiry is when the key ends; zero when the file does not say.
	CredentialExpiry time.Time
	// Next is when the source will fetch next; zero when it plans no fetch.
	Next time.Time
	// Err is why the last fetch failed; nil after one that succeeded. It is set
	// while an older token still serves.
	Err error
}

// Status returns what is known now.
func (s *Source) Status() Status {
	st := s.state.Load()
	status := Status{Generation: st.generation, CredentialExpiry: st.keyExpiry, Next: st.next, Err: st.failure}
	if t := s.usable(st); t != nil {
		status.Ready, status.Expiry = true, t.Expiry
	} else if status.Err == nil {
		status.Err = st.reason()
	}
	return status
}
