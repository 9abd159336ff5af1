package authn

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
)

// Sources are the networks that may call. The zero Sources are all that there are.
type Sources struct{ allowed []netip.Prefix }

// NewSources brings prefixes to the form in which addresses are compared.
func NewSources(prefixes []netip.Prefix) (Sources, error) {
	var s Sources
	for _, p := range prefixes {
		if !p.IsValid() {
			return Sources{}, errors.New("allow_from holds an invalid prefix; write it as 10.1.0.0/16")
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return Sources{}, fmt.Errorf("allow_from %s mixes IPv4 and IPv6; write an IPv4 prefix", p)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		s.allowed = append(s.allowed, p.Masked())
	}
	return s, nil
}

// Check refuses a request from elsewhere, with [ReasonSourceAddress]. Addresses
// are compared without zone, which names an interface of ours, and
// ::ffff:10.0.0.1 is taken for the 10.0.0.1 that it is.
func (s Sources) Check(r *http.Request) error {
	if len(s.allowed) == 0 {
		return nil
	}
	if source, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr := source.Addr().Unmap().WithZone("")
		for _, p := range s.allowed {
			if p.Contains(addr) {
				return nil
			}
		}
	}
	return &Error{ReasonSourceAddress, "checking source address: it is outside this listener's allow_from; call from a listed network, or list this one"}
}
