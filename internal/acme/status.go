package acme

import "time"

// Status is how one host stands, for readiness and metrics.
type Status struct {
	// Host is the name.
	Host string
	// NotBefore and NotAfter bound the certificate that is served; zero when
	// none was obtained yet.
	NotBefore, NotAfter time.Time
	// RenewAt is when the certificate is due for renewal; zero without one.
	RenewAt time.Time
	// Failures counts the attempts that failed in a row, and Err is why the
	// last one did; nil after one that succeeded. They are set while an older
	// certificate is still served.
	Failures int
	Err      error
}

// Ready is whether callers find a valid certificate at the time now.
func (s Status) Ready(now time.Time) bool {
	return !s.NotAfter.IsZero() && !now.Before(s.NotBefore) && !now.After(s.NotAfter)
}

// Status returns what is known now, in the order of [Config.Hosts].
func (m *Manager) Status() []Status {
	all := make([]Status, 0, len(m.hosts))
	for _, h := range m.hosts {
		s := Status{Host: h.name}
		if c := h.cert.Load(); c != nil {
			s.NotBefore, s.NotAfter, s.RenewAt = c.Leaf.NotBefore, c.Leaf.NotAfter, h.renewAt(c)
		}
		h.mu.Lock()
		s.Err, s.Failures = h.err, h.failed
		h.mu.Unlock()
		all = append(all, s)
	}
	return all
}

// fail notes a failed attempt, and returns how many there were in a row.
func (h *host) fail(err error) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	h.failed++
	return h.failed
}

func (h *host) succeed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.failed = nil, 0
}
