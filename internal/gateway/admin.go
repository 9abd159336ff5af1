package gateway

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/listener"
)

// listenAdmin opens the admin listener, if there is to be one. It shows no
// credential and nothing of any request.
func (g *Gateway) listenAdmin() error {
	if g.cfg.Admin == nil {
		return nil
	}
	socket, err := listener.Open(listener.Spec{Name: "admin", Network: "tcp", Address: g.cfg.Admin.Address})
	if err != nil {
		return err
	}
	pages, err := g.pages(g.cfg.Admin)
	if err != nil {
		_ = socket.Close()
		return err
	}
	g.admin = &server{name: "admin", socket: socket, http: newServer(g, pages)}
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
}

// readiness tells from memory whether requests can be served: every service
// user holds a token and records can be written. It never asks the upstream,
// whose failure must not take all of the gateway's instances out of service.
func (g *Gateway) readiness() readiness {
	r := readiness{Ready: g.audit.Healthy(), ServiceUsers: make(map[string]userReadiness), Audit: g.audit.Healthy()}
	for name, s := range g.sources {
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
	for i, reloader := range g.reloaders { // one for each of secured
		fault := g.secured[i].fault(time.Now())
		r.Ready = r.Ready && fault == ""
		if err := reloader.failure(); err != nil && fault == "" {
			fault = err.Error() // the files read before serve on
		}
		if fault == "" {
			fault = g.secured[i].concern()
		}
		if fault != "" {
			if r.Listeners == nil {
				r.Listeners = make(map[string]string)
			}
			r.Listeners[reloader.listener] = fault
		}
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
