package clientcert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/zproxy/zproxy/authn"
)

// sweepEvery is how long a connection may outlive its certificate.
const sweepEvery = time.Second

// Connections ends the connections of an http.Server whose certificates stop
// being good, and tells of the handshakes that were refused, which no handler
// sees. Its ConnState must be given to the server, and Run must run.
type Connections struct {
	v      *Verifier
	report func(authn.Identity, *authn.Error)
	mu     sync.Mutex
	open   map[*tls.Conn]*connection
}

// connection is what is known of an open connection.
type connection struct {
	id    authn.Identity
	certs []*x509.Certificate
	under *snapshot // of the last sweep, as is found
	found *proof
	ended bool // a handler may stay after it for a while
}

// NewConnections returns Connections that calls report for each refused
// handshake, and for each connection that is ended, with its peer, the caller,
// if one was known, and the thumbprint. Report must be safe for concurrent use.
// If nil, nobody is told.
func (v *Verifier) NewConnections(report func(authn.Identity, *authn.Error)) *Connections {
	if report == nil {
		report = func(authn.Identity, *authn.Error) {}
	}
	return &Connections{v: v, report: report, open: make(map[*tls.Conn]*connection)}
}

// ConnState is for [http.Server.ConnState].
func (cs *Connections) ConnState(c net.Conn, state http.ConnState) {
	conn, ok := c.(*tls.Conn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive, http.StateIdle: // the handshake has passed
		cs.add(conn)
	case http.StateClosed, http.StateHijacked:
		if cs.remove(conn) || state == http.StateHijacked {
			return
		}
		if refused, id, ok := Refused(conn); ok {
			cs.report(id, refused)
		}
	}
}

func (cs *Connections) add(conn *tls.Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open[conn] != nil {
		return
	}
	state := conn.ConnectionState()
	id, _ := cs.v.Caller(state) // a sweep ends it if it is no good any more
	id.Peer = conn.RemoteAddr().String()
	cs.open[conn] = &connection{id: id, certs: state.PeerCertificates}
}

func (cs *Connections) remove(conn *tls.Conn) (known bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	_, known = cs.open[conn]
	delete(cs.open, conn)
	return known
}

// Run ends connections until ctx is done, within a second after their
// certificates end, or after [Verifier.Reload] read that they are revoked.
func (cs *Connections) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			cs.sweep()
		}
	}
}

type ended struct {
	conn *tls.Conn
	id   authn.Identity
	err  *authn.Error
}

// sweep closes below TLS, so that a peer that reads nothing cannot delay it.
// What runs on the connection ends with it: net/http cancels its contexts.
func (cs *Connections) sweep() {
	for _, e := range cs.bad() {
		cs.report(e.id, e.err)
		_ = e.conn.NetConn().Close()
	}
}

func (cs *Connections) bad() []ended {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	now, s := cs.v.config.Clock(), cs.v.current.Load()
	var all []ended
	for conn, c := range cs.open {
		if c.ended || c.under == s && c.found.holds(now) {
			continue
		}
		found, err := s.verify(c.certs, now)
		if err == nil {
			c.under, c.found = s, found
			continue
		}
		c.ended = true
		refused, _ := Refusal(err)
		all = append(all, ended{conn, c.id, refused})
	}
	return all
}
