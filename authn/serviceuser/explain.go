package serviceuser

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
)

// explain turns whatever the library returned into a [FetchError]. No text of
// the library is repeated: its errors hold the body of the answer, and so
// whatever a server echoes.
func (g *guard) explain(ctx context.Context, err error) *FetchError {
	if g.refused != nil {
		return g.refused
	}
	var answer *oauth2.RetrieveError
	switch {
	case errors.As(err, &answer):
		return g.explainAnswer(answer)
	case ctx.Err() == nil && g.status == http.StatusOK && !isNetwork(err):
		return g.refuse("the token endpoint's answer is damaged JSON or holds no token", "check that upstream.issuer and upstream.address lead to ZITADEL")
	}
	return g.explainNetwork(ctx, err)
}

// explainAnswer reads ZITADEL's refusals, whose status and code often say
// something else than what is wrong.
func (g *guard) explainAnswer(a *oauth2.RetrieveError) *FetchError {
	e := g.refuse(fmt.Sprintf("the token endpoint answered with status %d", g.status), "")
	media, _, _ := mime.ParseMediaType(a.Response.Header.Get("Content-Type"))
	if media != "application/json" {
		if g.status == http.StatusNotFound {
			e.Reason = "the token endpoint was not found (404)"
			e.Advice = "check upstream.issuer"
			if bytes.Contains(a.Body, []byte("unable to set instance")) {
				e.Reason = "ZITADEL knows no instance of the issuer's host"
				e.Advice = "set upstream.issuer to a domain of the instance, as its console lists them"
			}
		}
		return e.busy()
	}
	if g.assertion && g.status == http.StatusInternalServerError {
		g.endpoint.doubt(g.skew)
	}
	e.Detail = g.quote(a)
	reason, advice := refusal(g.status, a.ErrorCode, a.ErrorDescription, g.assertion)
	if reason != "" {
		e.Reason, e.Advice = reason, advice
	}
	return e.busy()
}

func (e *FetchError) busy() *FetchError {
	switch e.Status {
	case http.StatusTooManyRequests:
		e.Reason = "the token endpoint asks for fewer requests (429)"
		e.Advice = "ask for a higher limit, or run fewer instances with this service user"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Reason = fmt.Sprintf("ZITADEL is not available at the moment (%d)", e.Status)
	}
	return e
}

// refusal is ZITADEL's table of token errors in plain words.
func refusal(status int, code, description string, assertion bool) (reason, advice string) {
	switch {
	case status == http.StatusInternalServerError && code == "server_error" && !assertion:
		return "ZITADEL reports a fault of its own", "look into ZITADEL's log"
	case status == http.StatusInternalServerError && code == "server_error":
		// ZITADEL answers any assertion it does not like as its own fault.
		return "ZITADEL reports a fault of its own, or it refused the assertion",
			"check this machine's clock, that upstream.issuer is the instance's own origin, and that the key with this id still exists and has not ended"
	case strings.HasPrefix(description, "Errors.User.NotActive"):
		return "the service user is locked or deactivated", "unlock or reactivate it in ZITADEL"
	case strings.HasPrefix(description, "Errors.User.Machine.Secret.NotExisting"):
		return "the service user has no client secret", "generate one in ZITADEL and store it in the secret file"
	case strings.HasPrefix(description, "Errors.User.Machine.Secret.Invalid"):
		return "ZITADEL refused the client secret", "store the current secret in the file; a new secret ends the old one at once"
	case code == "invalid_client":
		return "ZITADEL knows no such client", "the client id is the service user's user name, which changes when the user is renamed"
	case code == "invalid_grant":
		return "ZITADEL refused the credential", "check that the key or secret belongs to this instance"
	case code == "unsupported_grant_type" || code == "unauthorized_client":
		return "the token endpoint does not take this kind of credential", "check that upstream.issuer and upstream.address lead to ZITADEL"
	case code == "invalid_scope":
		return "the token endpoint refused the scopes", "check that upstream.issuer and upstream.address lead to ZITADEL"
	case code == "invalid_request":
		return "ZITADEL refused the token request as faulty", ""
	}
	return "", ""
}

// quote repeats the error code and ZITADEL's error name, if they are ones: a
// server can write anything there, even what it was sent.
func (g *guard) quote(a *oauth2.RetrieveError) string {
	var parts []string
	for _, s := range []string{a.ErrorCode, a.ErrorDescription} {
		if isErrorName(s) && !g.shown.in(s) {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// isErrorName reports whether s looks like invalid_request or Errors.User.NotActive.
func isErrorName(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	named := strings.HasPrefix(s, "Errors.")
	for i := range len(s) {
		c := s[i]
		lower := 'a' <= c && c <= 'z' || c == '_'
		if !lower && !(named && (c == '.' || 'A' <= c && c <= 'Z')) {
			return false
		}
	}
	return true
}

// explainNetwork describes what kept an answer from arriving whole. Only errors
// whose texts cannot hold bytes of the exchange are repeated.
func (g *guard) explainNetwork(ctx context.Context, err error) *FetchError {
	e := g.refuse("no whole answer came from the token endpoint", "check upstream.address and the network")
	var (
		dns  *net.DNSError
		op   *net.OpError
		cert *tls.CertificateVerificationError
		host x509.HostnameError
		auth x509.UnknownAuthorityError
	)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e.Reason = fmt.Sprintf("the token endpoint gave no answer within %s", fetchTimeout)
		e.cause = context.DeadlineExceeded
	case ctx.Err() != nil:
		e.Reason, e.Advice, e.cause = "the token request was called off", "", ctx.Err()
	case errors.As(err, &cert):
		e.Reason, e.Detail = "the token endpoint's certificate is not trusted", cert.Error()
		e.Advice = "check upstream.ca_file and that upstream.issuer is the name in the certificate"
	case errors.As(err, &host), errors.As(err, &auth):
		e.Reason = "the token endpoint's certificate is not trusted"
		e.Advice = "check upstream.ca_file and that upstream.issuer is the name in the certificate"
	case errors.Is(err, http.ErrSchemeMismatch):
		e.Reason, e.Advice = "the token endpoint does not speak TLS", "check the scheme and port of upstream.issuer and upstream.address"
	case errors.As(err, &dns):
		e.Reason, e.Detail = "the token endpoint's name cannot be resolved", dns.Error()
		e.Advice = "check upstream.issuer, upstream.address and the resolver"
	case errors.As(err, &op):
		e.Reason, e.Detail, e.cause = "the token endpoint cannot be reached", op.Error(), op
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Reason = "the token endpoint closed the connection before its answer was whole"
	}
	return e
}

func isNetwork(err error) bool {
	var op net.Error
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
