package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
	"github.com/zproxy/zproxy/internal/acme"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/listener"
	"github.com/zproxy/zproxy/internal/spiffe"
)

// secured is the TLS of one listener: what proves it, and what its callers
// prove. Each part is nil where the configuration has none.
type secured struct {
	files    *listener.Certificate
	acme     *acme.Manager
	spiffe   *spiffe.Source
	verifier *clientcert.Verifier
	open     *clientcert.Connections
	taken    func() // told of what the Workload API gave; nil for nobody
}

// secure reads the files that l's TLS names.
func (g *Gateway) secure(l config.Listener) (*secured, error) {
	s, err := readTLS(l, g.log)
	if s.spiffe != nil {
		s.taken = func() { g.metrics.CertificatesReloaded(l.Name, nil) }
	}
	if err == nil && s.verifier != nil {
		s.open = s.verifier.NewConnections(func(id authn.Identity, why *authn.Error) { g.turnedAway(l.Name, id, why) })
	}
	return s, err
}

// bound lets each caller have as many connections as cfg says.
func (s *secured) bound(cfg *config.Config) {
	if s != nil && s.open != nil {
		s.open.SetMost(cfg.Limits.PerCaller)
	}
}

// checkTLS reads the files that listeners name, as serving would, and asks
// SPIFFE agents unless offline.
func checkTLS(ctx context.Context, cfg *config.Config, offline bool) []Finding {
	var out []Finding
	for _, l := range cfg.Listeners {
		if l.TLS == nil {
			continue
		}
		about := "listener " + l.Name
		s, err := readTLS(l, zerolog.Nop())
		switch {
		case err != nil:
			out = append(out, Finding{Level: Fault, About: about, Message: err.Error()})
		case s.spiffe != nil:
			out = append(out, checkSPIFFE(ctx, about, s.spiffe, offline))
		case s.files != nil:
			out = append(out, Finding{Level: OK, About: about, Message: "its certificate holds until " + s.files.NotAfter().UTC().Format(time.RFC3339)})
		default:
			out = append(out, Finding{Level: OK, About: about, Message: "its certificate comes by ACME; the authority was not asked"})
		}
	}
	return out
}

// readTLS reads the files, and opens nothing.
func readTLS(l config.Listener, log zerolog.Logger) (*secured, error) {
	s := new(secured)
	var err error
	if l.TLS.SPIFFE != nil {
		err = s.bySPIFFE(l, log)
	} else if a := l.TLS.ACME; a != nil {
		s.acme, err = acme.New(acme.Config{
			Hosts: a.Hosts, Directory: a.Directory, CAFile: a.CAFile, Email: a.Email, Storage: a.Storage,
			EABKeyID: a.EABKeyID, EABKeyFile: a.EABKeyFile, Log: log.With().Str("listener", l.Name).Logger(),
		})
	} else {
		s.files, err = listener.NewCertificate(l.TLS.CertificateFile, l.TLS.KeyFile)
	}
	if err != nil || l.ClientCertificate == nil {
		return s, err
	}
	c := l.ClientCertificate
	kinds := make([]authn.Kind, len(c.Identity))
	for i, name := range c.Identity {
		kinds[i] = map[string]authn.Kind{"spiffe": authn.KindSPIFFE, "dns": authn.KindDNS}[name]
	}
	made := clientcert.Config{CAFile: c.CAFile, CRLFile: c.CRLFile, Identity: kinds}
	if c.CAFile == "" && s.spiffe != nil {
		made.Bundles = s.spiffe.Bundles
	}
	s.verifier, err = clientcert.New(made)
	return s, err
}

// config is what handshakes are made with.
func (s *secured) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	switch {
	case s.spiffe != nil:
		c.GetCertificate = s.spiffe.Certificate
	case s.acme != nil:
		c.GetCertificate = s.acme.GetCertificate
	default:
		c.GetCertificate = s.files.Get
	}
	if s.verifier != nil {
		c = s.verifier.ServerConfig(c)
	}
	if s.acme != nil {
		c = s.acme.TLSConfig(c)
	}
	return c
}

// over puts TLS on an open socket, and tells of callers that it turns away.
func (s *secured) over(g *Gateway, name string, socket net.Listener) *listener.Secured {
	return listener.TLS(socket, s.config(), func(c *tls.Conn, err error) {
		id := authn.Identity{Peer: c.RemoteAddr().String()}
		if why, who, ok := clientcert.Refused(c); ok {
			who.Peer = id.Peer
			g.turnedAway(name, who, why)
			return
		}
		reason := reasonHandshake
		if errors.Is(err, spiffe.ErrNoCertificate) || errors.Is(err, acme.ErrNoCertificate) {
			reason = reasonNoCertificate
		}
		g.turnedAway(name, id, &authn.Error{Reason: reason, Detail: "shaking hands: " + err.Error()})
	})
}

// The reasons of handshakes that failed for another reason than the caller's certificate.
const (
	reasonHandshake     authn.Reason = "tls_handshake"
	reasonNoCertificate authn.Reason = "no_server_certificate" // zproxy has none, and it is not the caller's fault
)

// turnedAway records a connection that ended before, or in spite of, a request.
func (g *Gateway) turnedAway(name string, id authn.Identity, why *authn.Error) {
	g.log.Warn().Str("listener", name).Str("peer", id.Peer).Stringer("caller", id.Caller).Str("reason", string(why.Reason)).Msg("connection refused: " + why.Detail)
	g.current.Load().proxy.TurnedAway(name, id, string(why.Reason))
}

// jobs are what has to run while the listener serves.
func (s *secured) jobs() []func(context.Context) error {
	var all []func(context.Context) error
	if s.open != nil {
		all = append(all, func(ctx context.Context) error { s.open.Run(ctx); return nil })
	}
	if s.acme != nil {
		all = append(all, s.acme.Run)
	}
	if s.spiffe != nil {
		all = append(all, s.spiffe.Run)
	}
	return all
}

// notAfter is when the certificate ends that ends first; zero without one.
func (s *secured) notAfter() time.Time {
	if s.files != nil {
		return s.files.NotAfter()
	}
	if s.spiffe != nil {
		return s.spiffe.Status().NotAfter
	}
	var first time.Time
	for _, h := range s.acme.Status() {
		if first.IsZero() || h.NotAfter.Before(first) {
			first = h.NotAfter
		}
	}
	return first
}

// fault is why the listener cannot shake hands, "" if it can.
func (s *secured) fault(now time.Time) string {
	if s.spiffe != nil {
		if err := s.spiffe.Fault(); err != nil {
			return err.Error()
		}
	}
	if s.acme != nil {
		for _, h := range s.acme.Status() {
			if h.Ready(now) {
				continue
			}
			if h.Err != nil {
				return "no certificate for " + h.Host + ": " + h.Err.Error()
			}
			return "no certificate for " + h.Host + " yet"
		}
	}
	return ""
}

// connState lets s end connections whose certificates stop being good.
func (s *secured) connState(c net.Conn, state http.ConnState) {
	if over := listener.TLSConn(c); over != nil && s.open != nil {
		s.open.ConnState(over, state)
	}
}

// reload reads all files again. What cannot be read stays as it was.
func (s *secured) reload() (changed bool, err error) {
	var errs []error
	each := func(what string, read func() (bool, error)) {
		c, err := read()
		changed = changed || c
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	if s.files != nil {
		each("tls", s.files.Reload)
	}
	if s.verifier != nil {
		each("client_certificate", s.verifier.Reload)
	}
	return changed, errors.Join(errs...)
}
