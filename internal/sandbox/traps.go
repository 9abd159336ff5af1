package sandbox

import (
	"io"
	"net/http"
	"path"
	"strings"
)

// traps are what ZITADEL does before it routes and after it answered, and a
// proxy must keep away from callers.
func (s *Sandbox) traps(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "h2c") {
			s.tunnel(w)
			return
		}
		// gorilla/mux cleans the path and redirects, whatever the method.
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
			http.Redirect(w, r, clean, http.StatusMovedPermanently)
			return
		}
		if status := s.apiFault(r); status != 0 {
			writeStatus(w, status, &problem{14, "", "the sandbox was told to fail"})
			return
		}
		h := w.Header()
		h.Set("X-Request-Id", s.requestID())
		h.Add("Set-Cookie", "zitadel.quota.exhausted=; Max-Age=0")
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
		}
		next.ServeHTTP(w, r)
	})
}

// tunnel switches protocols, and says on the new one that it is open: whoever
// can read that has a connection past every rule.
func (s *Sandbox) tunnel(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		w.WriteHeader(http.StatusHTTPVersionNotSupported)
		return
	}
	c, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\ntunnel open\n")
}

// apiFault is the status that the next answer must have; 0 for its own.
func (s *Sandbox) apiFault(r *http.Request) int {
	if strings.HasPrefix(r.URL.Path, "/oauth/") || strings.HasPrefix(r.URL.Path, "/.well-known/") {
		return 0
	}
	s.mu.Lock()
	status, delay := 0, s.faults.apiDelay
	if s.faults.apiTimes > 0 {
		s.faults.apiTimes--
		status = s.faults.apiStatus
	}
	s.mu.Unlock()
	wait(r.Context(), delay)
	return status
}

func (s *Sandbox) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.id()
}
