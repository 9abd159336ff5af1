package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/zproxy/zproxy/authn"
)

// The reasons why a certificate proves no caller. All are answered 401 where
// there is somebody to answer; a handshake ends with an alert.
const (
	ReasonMissing           authn.Reason = "certificate_missing"            // the caller sent none
	ReasonMalformed         authn.Reason = "certificate_malformed"          // it cannot be read, or has a critical extension that is not understood
	ReasonExpired           authn.Reason = "certificate_expired"            // it, or a CA of its chain, is past its end
	ReasonNotYetValid       authn.Reason = "certificate_not_yet_valid"      // it, or a CA of its chain, has not begun
	ReasonUntrusted         authn.Reason = "certificate_untrusted"          // no chain of CAs leads to the CA file
	ReasonUsage             authn.Reason = "certificate_usage"              // it, or a CA of its chain, is not for clients
	ReasonNameConstraint    authn.Reason = "certificate_name_constraint"    // a CA of its chain may not give that name
	ReasonWeakKey           authn.Reason = "certificate_weak_key"           // its key, or that of a CA of its chain, is too small or of another kind
	ReasonWeakSignature     authn.Reason = "certificate_weak_signature"     // signed with SHA-1, MD5 or another algorithm that is not accepted
	ReasonRevoked           authn.Reason = "certificate_revoked"            // it, or a CA of its chain, is on its issuer's CRL
	ReasonRevocationUnknown authn.Reason = "certificate_revocation_unknown" // a CA of the chain has no CRL that holds now
	ReasonIdentity          authn.Reason = "certificate_identity"           // it names no caller, or several
	ReasonNotProven         authn.Reason = "certificate_not_proven"         // the caller did not prove to hold its private key
	ReasonConnections       authn.Reason = "too_many_connections"           // the caller has as many connections as one may have
)

func refuse(reason authn.Reason, format string, args ...any) error {
	return &authn.Error{Reason: reason, Detail: "verifying client certificate: " + fmt.Sprintf(format, args...)}
}

// describe names a certificate in a refusal. The subject is the caller's to
// choose, so it is quoted and cut.
func describe(c *x509.Certificate) string {
	return fmt.Sprintf("certificate %.80q (serial %.42s)", c.Subject, c.SerialNumber.Text(16))
}

// builtin are the refusals of crypto/tls itself, by how their texts begin: it
// has no types for them. A text that changes costs the reason, not the refusal.
var builtin = [...]struct {
	text   string
	reason authn.Reason
	fix    string
}{
	{"tls: client didn't provide a certificate", ReasonMissing, "send one, with its private key"},
	{"tls: failed to parse client certificate: ", ReasonMalformed, "have it issued anew as RFC 5280 says"},
	{"tls: client sent certificate containing RSA key larger than", ReasonWeakKey, "use an RSA key of 2048 to 8192 bits, P-256 or Ed25519"},
	{"tls: client certificate contains an unsupported public key", ReasonWeakKey, "use an RSA key of 2048 to 8192 bits, P-256 or Ed25519"},
	{"tls: invalid signature by the client certificate", ReasonNotProven, "use the private key that belongs to the certificate"},
	{"tls: client certificate used with invalid signature algorithm", ReasonNotProven, "use the private key that belongs to the certificate"},
}

// Refusal returns why a handshake was refused, from the error of
// [tls.Conn.Handshake]. It returns false if the certificate was not the reason.
func Refusal(err error) (*authn.Error, bool) {
	if err == nil {
		return nil, false
	}
	var refused *authn.Error
	if errors.As(err, &refused) {
		return refused, true
	}
	for _, b := range builtin {
		if text := err.Error(); strings.HasPrefix(text, b.text) {
			return &authn.Error{Reason: b.reason, Detail: fmt.Sprintf("verifying client certificate: %.300s; %s", strings.TrimPrefix(text, "tls: "), b.fix)}, true
		}
	}
	return nil, false
}

// Refused returns why the handshake of c was refused, and the thumbprint of the
// certificate if one was read. It is for [net/http.Server.ConnState] at
// [net/http.StateClosed], where no handler ever saw the connection: a handshake
// that has ended gives its error again, and nothing is sent. It returns false if
// the handshake passed, or failed for another reason.
func Refused(c *tls.Conn) (refused *authn.Error, id authn.Identity, ok bool) {
	refused, ok = Refusal(c.Handshake())
	if !ok {
		return nil, authn.Identity{}, false
	}
	id.Peer = c.RemoteAddr().String()
	if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
		id.Thumbprint = Thumbprint(certs[0])
	}
	return refused, id, true
}
