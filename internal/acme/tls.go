package acme

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// alpn is the protocol of the authority's check (RFC 8737 section 6.2).
const alpn = "acme-tls/1"

// ErrNoCertificate is of handshakes for a host whose certificate was not
// obtained yet.
var ErrNoCertificate = errors.New("the host has no certificate yet")

// ErrUnknownHost is of handshakes that name another host than the configured ones.
var ErrUnknownHost = errors.New("the server name is none of the listener's hosts")

// TLSConfig returns base, which may be nil, with m's certificates in place of
// its own. All else of base stays for all callers: client certificates, their
// verification, protocols, versions.
//
// A handshake for acme-tls/1 alone, as the authority makes it, is answered
// apart, without asking for a client certificate, and only while a check of
// that host is pending. Nothing can be sent over it: net/http serves no
// protocol of that name, and closes the connection.
//
// If base has a GetConfigForClient, its answer decides over every other
// handshake, and must have m's [Manager.GetCertificate].
func (m *Manager) TLSConfig(base *tls.Config) *tls.Config {
	if base == nil {
		base = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config := base.Clone()
	config.Certificates = nil
	config.GetCertificate = m.GetCertificate
	challenge := m.challengeConfig()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch {
		case isChallenge(hello):
			return challenge, nil
		case base.GetConfigForClient != nil:
			return base.GetConfigForClient(hello)
		}
		return nil, nil
	}
	return config
}

// GetCertificate returns the certificate of the host that hello names, from
// memory. A caller that names none, as one does that dials an address, gets the
// first host's. The error is [ErrUnknownHost] or [ErrNoCertificate].
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	h := m.hosts[0]
	if hello.ServerName != "" {
		if h = m.host(hello.ServerName); h == nil {
			return nil, fmt.Errorf("choosing a certificate: %w: %.253q; add it to the hosts, or use one of them", ErrUnknownHost, hello.ServerName)
		}
	}
	c := h.cert.Load()
	if c == nil {
		return nil, fmt.Errorf("choosing a certificate: %w: %s; see the readiness page for why", ErrNoCertificate, h.name)
	}
	return c, nil
}

// host finds a configured host. DNS names compare without case.
func (m *Manager) host(name string) *host {
	name = strings.ToLower(name)
	for _, h := range m.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// isChallenge tells the authority's check (RFC 8737 section 3): that protocol
// and no other, and a server name.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == alpn && hello.ServerName != ""
}

// challengeConfig is fit for nothing but the check. A session must not be
// resumed from it, since it knows of no caller.
func (m *Manager) challengeConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
		GetCertificate:         m.challengeCertificate,
	}
}

// challengeCertificate asks certmagic, which knows the checks of this process
// and, by the storage, those of others that share it.
func (m *Manager) challengeCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if m.host(hello.ServerName) == nil {
		return nil, fmt.Errorf("answering a check of the authority: %w: %.253q", ErrUnknownHost, hello.ServerName)
	}
	answers := m.answers.Load()
	if answers == nil {
		return nil, errors.New("answering a check of the authority: none is pending")
	}
	c, err := answers.GetCertificate(hello)
	if err != nil {
		return nil, fmt.Errorf("answering a check of the authority: %w", err)
	}
	return c, nil
}
