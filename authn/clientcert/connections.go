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
// being good, and those of a caller that has too many; and tells of the
// handshakes that were refused, which no handler sees. Its ConnState must be given to the server, and Run must run.
type Connections struct {
	v      *Verifier
	report func(authn.Identity, *authn.Error)
	mu     sync.Mutex
	open   map[*tls.Conn]*connection
	most   int // of one caller; 0 is any number
	of     map[authn.Caller]int
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
	return &Connections{v: v, report: report, open: make(map[*tls.Conn]*connection), of: make(map[authn.Caller]int)}
}

// SetMost bounds how many connections one caller may have at once, whatever
// their addresses; 0 is any number, which is how it begins. Those that are open
// stay, and count.
func (cs *Connections) SetMost(most int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.most = most
}

// ConnState is for [http.Server.ConnState].
func (cs *Connections) ConnState(c net.Conn, state http.ConnState) {
	conn, ok := c.(*tls.Conn)
	if !ok {
		return
	}
	switch state {
	case http.StateNew: // the handshake has passed, where the listener makes it
		if conn.ConnectionState().HandshakeComplete {
			cs.add(conn)
		}
	case http.StateActive, http.StateIdle: // it has passed in any case
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
	if id, refused := cs.enter(conn); refused != nil {
		cs.report(id, refused)
		_ = conn.NetConn().Close() // below TLS, as in a sweep
	}
}

// enter counts conn, and says why it is one too many.
func (cs *Connections) enter(conn *tls.Conn) (authn.Identity, *authn.Error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open[conn] != nil {
		return authn.Identity{}, nil
	}
	state := conn.ConnectionState()
	id, _ := cs.v.Caller(state) // a sweep ends it if it is no good any more
	id.Peer = conn.RemoteAddr().String()
	c := &connection{id: id, certs: state.PeerCertificates}
	cs.open[conn] = c
	cs.of[id.Caller]++
	if cs.most == 0 || cs.of[id.Caller] <= cs.most || id.Caller.IsZero() {
		return id, nil
	}
	c.ended = true
	refused, _ := Refusal(refuse(ReasonConnections, "%s has %d connections already, which are the most that one caller may have; close some, or raise limits.connections_per_caller", id.Caller, cs.most))
	return id, refused
}

func (cs *Connections) remove(conn *tls.Conn) (known bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.open[conn]
	if c == nil {
		return false
	}
	delete(cs.open, conn)
	if cs.of[c.id.Caller]--; cs.of[c.id.Caller] == 0 {
		delete(cs.of, c.id.Caller)
	}
	return true
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
