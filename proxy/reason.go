package proxy

import (
	"net/http"
	"strings"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// Reason is the code under which an answer of our own is given and recorded.
// Those of authn, operation and policy keep their spelling.
type Reason string

// The reasons that arise in this package.
const (
	ReasonMalformed        Reason = "malformed_request"    // not HTTP as RFC 9110 has it, or a header no ZITADEL client sends
	ReasonUpgrade          Reason = "upgrade"              // Upgrade would be a tunnel past every rule
	ReasonHeaderTooLarge   Reason = "header_too_large"     // beyond limits.header_bytes
	ReasonBodyTooLarge     Reason = "body_too_large"       // beyond limits.body_bytes, or inspect_body_bytes where the body is read first
	ReasonEncoding         Reason = "content_encoding"     // a compressed body that has to be looked into and cannot be
	ReasonBodyRead         Reason = "body_read"            // the caller's body ended early
	ReasonOrganization     Reason = "organization_header"  // x-zitadel-orgid given twice or not an id
	ReasonNoUserToken      Reason = "no_user_token"        // the rule passes the caller's own token and there is none
	ReasonBusy             Reason = "busy"                 // bodies that are looked into hold all the memory there is for them, or the caller's own take too long
	ReasonOwnUsersUnknown  Reason = "own_users_unknown"    // whose a service user's token is has not been learned yet
	ReasonEvidence         Reason = "evidence"             // the audit record cannot be written
	ReasonLimit            Reason = "limit"                // the rule's or the upstream's rate is used up
	ReasonTokenUnavailable Reason = "token_unavailable"    // no access token for the service user
	ReasonTokenRefused     Reason = "token_refused"        // ZITADEL refused the service user's token, a fresh one too
	ReasonOverload         Reason = "overload"             // as many requests as may be wait for the upstream
	ReasonCircuit          Reason = "upstream_circuit"     // the upstream answers nobody, and is asked by probes only
	ReasonUnreachable      Reason = "upstream_unreachable" // no connection; nothing was sent
	ReasonUpstreamBroke    Reason = "upstream_broke"       // the connection broke before the answer was whole
	ReasonUpstreamTimeout  Reason = "upstream_timeout"     // no answer in time
	ReasonDeadline         Reason = "deadline_exceeded"    // the time that the caller gave the call is over
	ReasonUpstreamAnswer   Reason = "upstream_answer"      // an answer that is never relayed: a redirect, a 101
	ReasonCallerGone       Reason = "caller_gone"          // the caller went away first
	ReasonStalled          Reason = "caller_stalled"       // the caller took nothing of the answer, or sent nothing of the body, for limits.stall
	ReasonRuleLost         Reason = "rule_lost"            // a stream whose caller may not go on: by a reload, or at its rule's end
	ReasonEnding           Reason = "ending"               // a stream that was cut off because zproxy ends
	ReasonListenerGone     Reason = "listener_gone"        // a reload removed the listener
	ReasonInternal         Reason = "internal_error"       // a fault of zproxy's own
	ReasonAborted          Reason = "aborted"              // the answer broke off after it had begun
)

// code is a gRPC status code (https://grpc.io/docs/guides/status-codes/).
type code uint8

const (
	codeCanceled          code = 1
	codeInvalidArgument   code = 3
	codeDeadlineExceeded  code = 4
	codeNotFound          code = 5
	codePermissionDenied  code = 7
	codeResourceExhausted code = 8
	codeUnimplemented     code = 12
	codeInternal          code = 13
	codeUnavailable       code = 14
	codeUnauthenticated   code = 16
)

// connectName is the code's name in Connect's error JSON.
func (c code) connectName() string {
	switch c {
	case codeCanceled:
		return "canceled"
	case codeInvalidArgument:
		return "invalid_argument"
	case codeDeadlineExceeded:
		return "deadline_exceeded"
	case codeNotFound:
		return "not_found"
	case codePermissionDenied:
		return "permission_denied"
	case codeResourceExhausted:
		return "resource_exhausted"
	case codeUnimplemented:
		return "unimplemented"
	case codeUnavailable:
		return "unavailable"
	case codeUnauthenticated:
		return "unauthenticated"
	}
	return "internal"
}

// wire says how a reason is told: HTTP status for REST, OIDC, SCIM and Connect,
// code for the RPC protocols, and the error type of Proxy-Status (RFC 9209
// section 2.3).
type wire struct {
	status int
	code   code
	proxy  string
}

const (
	denied    = "http_request_denied"
	malformed = "http_request_error"
)

// wireOf is the one mapping from reasons to the wire. A reason that it does not
// know is an internal error, never a success.
func wireOf(r Reason) wire {
	switch r {
	case Reason(authn.ReasonUnknownCaller), ReasonNoUserToken:
		return wire{http.StatusUnauthorized, codeUnauthenticated, denied}
	case Reason(authn.ReasonSourceAddress), Reason(authn.ReasonBrowser), Reason(authn.ReasonForeignHost),
		Reason(policy.ReasonNoRule), Reason(policy.ReasonHazard), Reason(policy.ReasonExcept),
		Reason(policy.ReasonOwnUser), Reason(policy.ReasonOrganization), Reason(policy.ReasonCondition), Reason(policy.ReasonEnded), ReasonRuleLost:
		return wire{http.StatusForbidden, codePermissionDenied, denied}
	case Reason(operation.ReasonNotCanonical), Reason(operation.ReasonBadQuery),
		Reason(policy.ReasonUnreadable), ReasonMalformed, ReasonUpgrade, ReasonBodyRead, ReasonOrganization:
		return wire{http.StatusBadRequest, codeInvalidArgument, malformed}
	case Reason(operation.ReasonUnknownOperation):
		return wire{http.StatusNotFound, codeUnimplemented, denied}
	case Reason(operation.ReasonMethodNotAllowed):
		return wire{http.StatusMethodNotAllowed, codeUnimplemented, denied}
	case Reason(operation.ReasonContentType):
		return wire{http.StatusUnsupportedMediaType, codeInvalidArgument, malformed}
	case ReasonEncoding:
		return wire{http.StatusUnsupportedMediaType, codeUnimplemented, malformed}
	case ReasonStalled:
		return wire{http.StatusRequestTimeout, codeCanceled, malformed}
	case ReasonHeaderTooLarge:
		return wire{http.StatusRequestHeaderFieldsTooLarge, codeResourceExhausted, malformed}
	case ReasonBodyTooLarge:
		return wire{http.StatusRequestEntityTooLarge, codeResourceExhausted, malformed}
	case ReasonLimit:
		return wire{http.StatusTooManyRequests, codeResourceExhausted, denied}
	case Reason(authn.ReasonKeysUnavailable), ReasonEvidence, ReasonBusy, ReasonOwnUsersUnknown, ReasonTokenUnavailable, ReasonTokenRefused, ReasonListenerGone, ReasonEnding:
		return wire{http.StatusServiceUnavailable, codeUnavailable, "proxy_internal_error"}
	case ReasonOverload:
		return wire{http.StatusServiceUnavailable, codeUnavailable, "connection_limit_reached"}
	case ReasonCircuit:
		return wire{http.StatusServiceUnavailable, codeUnavailable, "destination_unavailable"}
	case ReasonUnreachable:
		return wire{http.StatusBadGateway, codeUnavailable, "destination_unavailable"}
	case ReasonUpstreamBroke:
		return wire{http.StatusBadGateway, codeUnavailable, "connection_terminated"}
	case ReasonUpstreamAnswer:
		return wire{http.StatusBadGateway, codeUnavailable, "http_protocol_error"}
	case ReasonUpstreamTimeout, ReasonDeadline:
		return wire{http.StatusGatewayTimeout, codeDeadlineExceeded, "http_response_timeout"}
	case ReasonCallerGone:
		return wire{499, codeCanceled, "connection_terminated"}
	}
	if strings.HasPrefix(string(r), "certificate_") || strings.HasPrefix(string(r), "jwt_") { // authn/clientcert and authn/workload have a dozen each
		return wire{http.StatusUnauthorized, codeUnauthenticated, denied}
	}
	return wire{http.StatusInternalServerError, codeInternal, "proxy_internal_error"}
}

// refusal is why a request is answered by us. Message goes to the caller:
// lowercase, what failed, why, what to do; no secrets.
type refusal struct {
	reason  Reason
	message string
	// retryAfter in whole seconds tells when to try again; 0 for no advice.
	retryAfter int
}

func refuse(reason Reason, message string) *refusal {
	return &refusal{reason: reason, message: message}
}
