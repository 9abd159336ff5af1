package authn

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hosts are the names and addresses by which a listener may be called.
type hosts struct {
	names       []string // lower case
	addresses   []netip.Addr
	unspecified bool // the listener is on all addresses: the local one of the connection counts
}

func newHosts(listen string, more []string) (hosts, error) {
	h := hosts{names: []string{"localhost"}}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return h, fmt.Errorf("making anonymous callers: the listener's address %q is not host:port: %w", listen, err)
	}
	if host == "" {
		h.unspecified = true
	} else if err := h.add(host); err != nil {
		return h, err
	}
	for _, host := range more {
		if err := h.add(host); err != nil {
			return h, err
		}
	}
	return h, nil
}

func (h *hosts) add(host string) error {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		addr = addr.Unmap().WithZone("")
		h.unspecified = h.unspecified || addr.IsUnspecified()
		h.addresses = append(h.addresses, addr)
		return nil
	}
	host = strings.ToLower(host)
	if err := checkDNS(host); err != nil {
		return fmt.Errorf("making anonymous callers: host %.80q: %w; give a name or an address, without a port", host, err)
	}
	h.names = append(h.names, host)
	return nil
}

// own reports whether the Host of r (":authority" in HTTP/2) is a name of this listener.
func (h *hosts) own(r *http.Request) bool {
	host, ok := splitPort(r.Host)
	if !ok {
		return false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6() && h.ownAddress(addr, r)
	}
	for _, name := range h.names {
		if strings.EqualFold(name, host) && len(name) == len(host) {
			return true
		}
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Is4() && h.ownAddress(addr, r)
}

func (h *hosts) ownAddress(addr netip.Addr, r *http.Request) bool {
	addr = addr.Unmap().WithZone("")
	if addr.IsUnspecified() { // 0.0.0.0 reaches loopback from a browser, and names no address
		return false
	}
	if addr.IsLoopback() {
		return true
	}
	for _, own := range h.addresses {
		if addr == own {
			return true
		}
	}
	if !h.unspecified {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap().WithZone("") == addr
}

// splitPort takes the port off. More than a host and 1 to 5 digits of port is
// no authority of ours: user information, paths and empty ports among it.
func splitPort(s string) (host string, ok bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || strings.HasSuffix(s, "]") {
		return s, s != ""
	}
	port := s[colon+1:]
	if len(port) == 0 || len(port) > 5 {
		return "", false
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return "", false
		}
	}
	return s[:colon], colon > 0
}
