package authn

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
)

// AnonymousConfig describes a listener whose callers have no identity of their own.
type AnonymousConfig struct {
	// Name makes the caller "anonymous:<Name>".
	Name string
	// AllowFrom are the source addresses that may call. If empty, all that reach
	// the listener. It cannot be used on a unix socket.
	AllowFrom []netip.Prefix
	// Hosts are names or addresses, without a port, that callers may use in Host
	// beside those that are built in; see [NewAnonymous].
	Hosts []string
	// Network is "tcp", or "unix", where Host is not checked: no browser reaches
	// a unix socket, and there is no name to rebind.
	Network string
	// ListenAddress is the host:port that the listener was opened with, and on
	// unix the path of the socket.
	ListenAddress string
}

type anonymous struct {
	caller  Caller
	sources Sources
	hosts   hosts
	unix    bool
}

// NewAnonymous returns an Authenticator that names whoever reaches a listener,
// if it is not a browser: a page that a browser shows can send requests to a
// listener on loopback (CVE-2026-27589). In this order it refuses
//
//   - a source address outside AllowFrom: [ReasonSourceAddress];
//   - a request with Origin, Sec-Fetch-* or Sec-WebSocket-*, even empty: [ReasonBrowser];
//   - a Host that the listener does not own (DNS rebinding): [ReasonForeignHost].
//
// A listener owns "localhost", the loopback addresses, the address of
// ListenAddress (if it is unspecified, as in 0.0.0.0, the address that the
// connection came in on) and Hosts; case does not matter, and nothing is
// resolved. A port in Host is not compared: containers and tunnels publish
// listeners under other ports, and a page that can name the host can name its port.
func NewAnonymous(c AnonymousConfig) (Authenticator, error) {
	caller, err := Anonymous(c.Name)
	if err != nil {
		return nil, err
	}
	a := &anonymous{caller: caller, unix: c.Network == "unix"}
	switch {
	case c.Network != "tcp" && c.Network != "unix":
		return nil, fmt.Errorf("making anonymous callers of %q: the network is %q, it must be tcp or unix", c.Name, c.Network)
	case a.unix && len(c.AllowFrom) > 0:
		return nil, errors.New("making anonymous callers: allow_from has no meaning on a unix socket; use the socket's mode, or name callers by uid or gid")
	case a.unix:
		return a, nil
	}
	if a.sources, err = NewSources(c.AllowFrom); err != nil {
		return nil, fmt.Errorf("making anonymous callers: %w", err)
	}
	if a.hosts, err = newHosts(c.ListenAddress, c.Hosts); err != nil {
		return nil, err
	}
	return a, nil
}

// Authenticate implements [Authenticator].
func (a *anonymous) Authenticate(r *http.Request) (Identity, error) {
	id := Identity{Peer: Peer(r)}
	if err := a.sources.Check(r); err != nil {
		return id, err
	}
	if err := CheckBrowser(r.Header); err != nil {
		return id, err
	}
	if !a.unix && !a.hosts.own(r) {
		return id, &Error{ReasonForeignHost, "checking Host: this listener does not own that name; call it by its address, or list the name in the listener's hosts"}
	}
	id.Caller = a.caller
	return id, nil
}
