package gateway

import (
	"slices"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/internal/config"
)

// checkCallers tells of callers in rules that come through no listener.
func checkCallers(cfg *config.Config) []Finding {
	var out []Finding
	for _, r := range cfg.Rules {
		for _, name := range r.Callers {
			pattern, err := authn.ParseCallerPattern(name)
			if err != nil {
				continue // it does not compile, and that is told
			}
			if why := absent(cfg, pattern); why != "" {
				out = append(out, Finding{Level: Warning, About: "rule " + r.Name, Message: "no listener has the caller " + name + why + ", or remove it here"})
			}
		}
	}
	return out
}

// absent is why no listener has a caller, and what to add for one to have it; ""
// where one can have it.
func absent(cfg *config.Config, pattern authn.Pattern) string {
	switch pattern.Kind() {
	case authn.KindJWT:
		if name := issuerOf(pattern); !cfg.HasIssuer(name) {
			return ", for none has the issuer " + name + "; add it to bearer_jwt of one"
		}
		return ""
	case authn.KindSPIFFE:
		return uncertified(cfg, "spiffe")
	case authn.KindDNS:
		return uncertified(cfg, "dns")
	}
	for _, l := range cfg.Listeners {
		if l.Anonymous != "" && pattern.String() == "anonymous:"+l.Anonymous ||
			slices.ContainsFunc(l.Unix, func(u config.UnixCaller) bool { return pattern.String() == "unix:"+u.Name }) {
			return ""
		}
	}
	return "; add it to a listener"
}

// uncertified is why no certificate tells callers by this kind of identity.
func uncertified(cfg *config.Config, identity string) string {
	asks := false
	for _, l := range cfg.Listeners {
		if c := l.ClientCertificate; c != nil {
			asks = true
			if slices.Contains(c.Identity, identity) {
				return ""
			}
		}
	}
	if !asks {
		return ", for none asks for client certificates; add client_certificate to one"
	}
	return ", for none takes " + identity + " from client certificates; add it to identity of a client_certificate"
}
