package gateway

import (
	"encoding/json"
	"net/http"
	"reflect"

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

// Ready tells whether requests can be served, as /readyz does.
func (g *Gateway) Ready() bool { return g.readiness(g.current.Load()).Ready }

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	g.probeAudit(r)
	answer := g.readiness(g.current.Load())
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
