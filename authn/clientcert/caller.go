package clientcert

import (
	"crypto/tls"
	"net/http"

	"github.com/zproxy/zproxy/authn"
)

// Caller returns who is at the other end of a connection whose handshake
// passed, and the thumbprint of the certificate that proves it; Peer is left to
// those who know the address. It judges by the files and the clock of now: a
// certificate that has ended, or is revoked since, is refused with its reason.
// On an error the thumbprint is still set, if there is a certificate.
//
// What was verified is remembered while it holds, so that asking for each
// request costs a hash of the certificates sent, not signatures.
func (v *Verifier) Caller(state tls.ConnectionState) (authn.Identity, error) {
	found, err := v.current.Load().verify(state.PeerCertificates, v.config.Clock())
	if err == nil {
		return found.id, nil
	}
	var id authn.Identity
	if len(state.PeerCertificates) > 0 {
		id.Thumbprint = Thumbprint(state.PeerCertificates[0])
	}
	return id, err
}

// Check returns nil while the certificate of a connection is good by the files
// and the clock of now, and else why it is not: an [*authn.Error]. It is for
// ending long connections. It does not wait or block.
func (v *Verifier) Check(state tls.ConnectionState) error {
	_, err := v.Caller(state)
	return err
}

// Authenticate implements [authn.Authenticator] for a server that serves with a
// configuration of [Verifier.ServerConfig]. A browser is no caller, even one
// that holds a certificate: any page that it shows could send requests with it.
func (v *Verifier) Authenticate(r *http.Request) (authn.Identity, error) {
	id := authn.Identity{Peer: r.RemoteAddr}
	if r.TLS == nil || !r.TLS.HandshakeComplete {
		return id, refuse(ReasonMissing, "the connection is without TLS; call this listener with https and a certificate")
	}
	found, err := v.Caller(*r.TLS)
	id.Thumbprint = found.Thumbprint
	if err != nil {
		return id, err
	}
	if err := authn.CheckBrowser(r.Header); err != nil {
		return id, err
	}
	id.Caller = found.Caller
	return id, nil
}
