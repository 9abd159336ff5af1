package sandbox

import (
	"context"
	"net/http"
	"slices"
)

// Request is one request as it arrived, token endpoint and discovery included.
type Request struct {
	Method, Target, Host string
	Header               http.Header
	Major                int // HTTP version
	// Operation is the full name of the RPC that was performed; "" where none was.
	Operation string
	// User is the user id of the token, or a system user's name; "" where it was refused.
	User         string
	Organization string
	// Message is the request message as the operation saw it, as JSON.
	Message string
}

type noteKey struct{}

// record keeps every request.
func (s *Sandbox) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		at := len(s.requests)
		s.requests = append(s.requests, Request{
			Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header.Clone(), Major: r.ProtoMajor,
		})
		s.mu.Unlock()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), noteKey{}, at)))
	})
}

// note adds what became known of a request.
func (s *Sandbox) note(r *http.Request, operation, message string, c *call) {
	at, ok := r.Context().Value(noteKey{}).(int)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at >= len(s.requests) {
		return
	}
	seen := &s.requests[at]
	seen.Operation, seen.Message = operation, message
	if c == nil {
		return
	}
	seen.User, seen.Organization = c.system, c.organization
	if c.user != nil {
		seen.User = c.user.id
	}
}

// Requests are all requests so far, in the order of arrival.
func (s *Sandbox) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count is how many requests there were so far.
func (s *Sandbox) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// Performed are the requests from the first one on that performed an operation
// on a caller's behalf: not those by which a gateway asks about itself.
func (s *Sandbox) Performed(first int) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Request
	for _, r := range s.requests[min(first, len(s.requests)):] {
		if r.Operation != "" && r.Header.Get("User-Agent") != "zproxy" {
			all = append(all, r)
		}
	}
	return all
}

// Last is the last of them; the zero Request if there is none.
func (s *Sandbox) Last() Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.requests) {
		if r.Operation != "" && r.Header.Get("User-Agent") != "zproxy" {
			return r
		}
	}
	return Request{}
}
