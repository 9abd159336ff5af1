package gateway

import "time"

// readiness is what /readyz says.
type readiness struct {
	Ready        bool                         `json:"ready"`
	ServiceUsers map[string]userReadiness     `json:"service_users"`
	Listeners    map[string]listenerReadiness `json:"listeners"`
	Audit        auditReadiness               `json:"audit"`
	// Draining is true once zproxy is about to end.
	Draining bool `json:"draining,omitempty"`
	// Configuration is what serves, and why the last reload was refused.
	Configuration configuration `json:"configuration"`
	// Issuers are those whose tokens name callers, as "<listener>/<issuer name>".
	Issuers map[string]issuerReadiness `json:"issuers,omitempty"`
	// UpstreamCertificate is why new files of upstream.tls were not taken.
	UpstreamCertificate string `json:"upstream_certificate_error,omitempty"`
}

// userReadiness is how one service user is.
type userReadiness struct {
	Ready  bool       `json:"ready"`
	Expiry *time.Time `json:"token_expires,omitempty"`
	Error  string     `json:"error,omitempty"`
}

// listenerReadiness is how one listener is: one that is not ready shakes no
// hands. One that is ready may have an error, of new files that were not taken.
type listenerReadiness struct {
	Ready   bool       `json:"ready"`
	Address string     `json:"address"`
	Expiry  *time.Time `json:"certificate_expires,omitempty"`
	Error   string     `json:"error,omitempty"`
}

// auditReadiness is whether the last record could be written, and where.
type auditReadiness struct {
	Ready bool   `json:"ready"`
	File  string `json:"file"`
}

// readiness tells from memory whether requests can be served by n: every service
// user holds a token, the keys of every issuer were had, every listener has a
// certificate, and records can be written. It never asks the upstream, whose
// failure must not take all of the gateway's instances out of service.
func (g *Gateway) readiness(n *generation) readiness {
	r := readiness{
		ServiceUsers: make(map[string]userReadiness), Listeners: make(map[string]listenerReadiness),
		Audit: auditReadiness{g.audit.Healthy(), n.cfg.Audit.File}, Configuration: g.state.now(n), Draining: g.draining.Load(),
		UpstreamCertificate: n.trust.own.failure(),
	}
	r.Ready = r.Audit.Ready && !r.Draining
	for name, s := range n.sources {
		status := s.Status()
		u := userReadiness{Ready: status.Ready}
		if !status.Expiry.IsZero() {
			u.Expiry = &status.Expiry
		}
		if status.Err != nil {
			u.Error = status.Err.Error()
		}
		r.ServiceUsers[name] = u
		r.Ready = r.Ready && u.Ready
	}
	for _, f := range n.fronts {
		l := f.readiness()
		r.Listeners[f.name] = l
		r.Ready = r.Ready && l.Ready
	}
	var known bool
	r.Issuers, known = n.issuersReady()
	r.Ready = r.Ready && known
	return r
}

func (f *front) readiness() listenerReadiness {
	l := listenerReadiness{Ready: true, Address: f.taker.Addr().String()}
	if f.secured == nil {
		return l
	}
	if end := f.secured.notAfter(); !end.IsZero() {
		l.Expiry = &end
	}
	if l.Error = f.secured.fault(time.Now()); l.Error != "" {
		l.Ready = false
		return l
	}
	if err := f.files.failure(); err != nil {
		l.Error = err.Error() // the files read before serve on
		return l
	}
	l.Error = f.secured.concern()
	return l
}
