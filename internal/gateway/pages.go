package gateway

import (
	"net/http"
	"net/http/pprof"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
)

// pages are those of the admin listener. They show no credential and nothing of
// any request. Whoever may call an anonymous listener may see them: no browser,
// and nobody by a name that the listener does not own.
func (g *Gateway) pages(a *config.Admin) (http.Handler, error) {
	says, err := authn.NewAnonymous(authn.AnonymousConfig{Name: "admin", Network: "tcp", ListenAddress: a.Address, Hosts: a.Hosts})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", g.ready)
	mux.Handle("GET /metrics", g.metrics.Handler())
	if a.PProf {
		profiles(mux)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := says.Authenticate(r); err != nil {
			writeJSON(w, http.StatusForbidden, map[string]string{"error": err.Error()})
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// profiles adds what `go tool pprof` reads. A heap profile holds counts and
// names of functions, no contents of memory.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
