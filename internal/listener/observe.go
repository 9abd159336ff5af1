package listener

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// ConnInfo tells of a connection on which a malformed request came.
type ConnInfo struct {
	// Peer is "10.1.0.7:51844", or "uid=1001 gid=1001 pid=77" on a unix socket.
	Peer string
}

// Observed is a listener whose connections tell of the answers that net/http
// writes by itself. Its Handler and ConnContext must both be given to the
// http.Server that serves it.
type Observed struct {
	net.Listener
	report func(ConnInfo, int)
}

// Observe returns a listener that calls report with the status of each answer
// that net/http gives to a request it found malformed (400, 417, 431, 501, 505),
// before that answer is written. No handler runs for these requests. Report is
// called by the goroutine of the connection and must be safe for concurrent use.
//
// Only HTTP/1 is observed: an HTTP/2 connection that breaks the protocol is
// ended by a frame, and carries no request that could be recorded. Nor is there
// an answer when the caller goes away or is too slow within a header.
func Observe(l net.Listener, report func(ConnInfo, int)) *Observed {
	return &Observed{Listener: l, report: report}
}

// Accept implements [net.Listener].
func (o *Observed) Accept() (net.Conn, error) {
	c, err := o.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if _, h2 := c.(*tls.Conn); h2 { // the http.Server finds HTTP/2 by this type
		return c, nil
	}
	return &conn{Conn: c, report: o.report}, nil
}

type connKey struct{}

// found is the connection of a request, and its TLS state if it has one.
type found struct {
	*conn
	state *tls.ConnectionState
}

// ConnContext is for [http.Server.ConnContext]: it lets Handler find the connection.
func (o *Observed) ConnContext(ctx context.Context, c net.Conn) context.Context {
	observed, ok := c.(*conn)
	if !ok {
		return ctx
	}
	f := &found{conn: observed}
	if over := TLSConn(observed); over != nil {
		state := over.ConnectionState()
		f.state = &state
	}
	return context.WithValue(ctx, connKey{}, f)
}

// Handler returns h with its requests marked on their connection, so that what
// is answered to them is told from what net/http answers by itself. Requests
// over TLS get their TLS state, which net/http cannot see.
func (o *Observed) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*found)
		if !ok || r.ProtoMajor != 1 {
			h.ServeHTTP(w, r)
			return
		}
		if c.state != nil {
			r.TLS = c.state
		}
		c.markBegin()
		defer c.markEnd()
		h.ServeHTTP(w, r)
	})
}
