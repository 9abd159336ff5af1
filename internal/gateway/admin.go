package gateway

import (
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
)

// adminFront opens the admin listener, if there is to be one. It shows no
// credential and nothing of any request.
func (g *Gateway) adminFront(n, before *generation) error {
	if n.cfg.Admin == nil {
		return nil
	}
	l := config.Listener{Name: "admin", Network: "tcp", Address: n.cfg.Admin.Address}
	if before != nil && before.admin != nil && reflect.DeepEqual(before.cfg.Admin, n.cfg.Admin) {
		n.admin = before.admin
		return nil
	}
	pages, err := g.pages(n.cfg.Admin)
	if err != nil {
		return err
	}
	socket, err := g.socketOf(l, n, before)
	if err != nil {
		return err
	}
	taker := socket.NewTaker()
	n.admin = &front{name: l.Name, socket: socket, taker: taker, serving: taker, http: newServer(g, pages)}
	return nil
}

// userReadiness is what /readyz says of one service user.
type userReadiness struct {
	Ready  bool       `json:"ready"`
	Expiry *time.Time `json:"token_expires,omitempty"`
	Error  string     `json:"error,omitempty"`
}

// readiness is what /readyz says.
type readiness struct {
	Ready        bool                     `json:"ready"`
	ServiceUsers map[string]userReadiness `json:"service_users"`
	Audit        bool                     `json:"audit"`
	// Listeners are those that cannot shake hands, or whose files were not taken.
	Listeners map[string]string `json:"listeners,omitempty"`
	// Draining is true once zproxy is about to end.
	Draining bool `json:"draining,omitempty"`
	// Configuration is what serves, and why the last reload was refused.
	Configuration configuration `json:"configuration"`
	// Issuers are those whose tokens name callers, as "<listener>/<issuer name>".
	Issuers map[string]issuerReadiness `json:"issuers,omitempty"`
}

// readiness tells from memory whether requests can be served: every service
// user holds a token, the keys of every issuer were had, and records can be written. It never asks the upstream,
// whose failure must not take all of the gateway's instances out of service.
func (g *Gateway) readiness() readiness {
	n := g.current.Load()
	r := readiness{Ready: g.audit.Healthy(), ServiceUsers: make(map[string]userReadiness), Audit: g.audit.Healthy(), Configuration: g.state.now(n)}
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
		r.Ready = r.Ready && status.Ready
	}
	var known bool
	r.Issuers, known = n.issuersReady()
	r.Ready = r.Ready && known
	for _, f := range n.fronts {
		if f.secured == nil {
			continue
		}
		fault := f.secured.fault(time.Now())
		r.Ready = r.Ready && fault == ""
		if err := f.files.failure(); err != nil && fault == "" {
			fault = err.Error() // the files read before serve on
		}
		if fault == "" {
			fault = f.secured.concern()
		}
		if fault != "" {
			if r.Listeners == nil {
				r.Listeners = make(map[string]string)
			}
			r.Listeners[f.name] = fault
		}
	}
	if g.draining.Load() {
		r.Ready, r.Draining = false, true
	}
	return r
}

// Ready tells whether requests can be served, as /readyz does.
func (g *Gateway) Ready() bool { return g.readiness().Ready }

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	g.probeAudit(r)
	answer := g.readiness()
	code := http.StatusOK
	if !answer.Ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, answer)
}

// probeAudit writes a record of the probe itself while records cannot be
// written: with no traffic coming in, nothing else would find out that they
// can be again.
func (g *Gateway) probeAudit(r *http.Request) {
	if g.audit.Healthy() {
		return
	}
	err := g.audit.Write(&audit.Record{
		Kind: audit.Outcome, ID: "readyz", Listener: "admin", Peer: r.RemoteAddr,
		Method: r.Method, Path: r.URL.Path, Effect: "allow", Reason: "probe", Status: http.StatusServiceUnavailable,
	})
	if err != nil {
		g.log.Error().Err(err).Msg("writing audit record failed; requests are refused until it succeeds")
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the prober is gone; nothing to tell it
}
