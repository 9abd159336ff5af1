package workload

import (
	"fmt"

	"github.com/zproxy/zproxy/authn"
)

// The reasons why a token proves no caller. All are answered 401.
// [authn.ReasonKeysUnavailable], which is no fault of the caller's, is answered 503.
const (
	ReasonMissing     authn.Reason = "jwt_missing"       // the request shows none
	ReasonMalformed   authn.Reason = "jwt_malformed"     // it is no JWT of the form that is taken
	ReasonIssuer      authn.Reason = "jwt_issuer"        // iss is no issuer of the listener's
	ReasonKeyUnknown  authn.Reason = "jwt_key_unknown"   // kid is missing, or selects no key that can be used, or several
	ReasonAlgorithm   authn.Reason = "jwt_algorithm"     // alg is not taken, or is not what its key is for
	ReasonSignature   authn.Reason = "jwt_signature"     // the signature is another's
	ReasonAudience    authn.Reason = "jwt_audience"      // aud does not contain the configured audience
	ReasonExpired     authn.Reason = "jwt_expired"       // exp has come
	ReasonNotYetValid authn.Reason = "jwt_not_yet_valid" // nbf or iat is still to come
	ReasonLifetime    authn.Reason = "jwt_lifetime"      // it lives for ever, or too long
	ReasonSubject     authn.Reason = "jwt_subject"       // sub is missing, or can be no part of a caller
)

func refuse(reason authn.Reason, format string, args ...any) error {
	return &authn.Error{Reason: reason, Detail: "verifying token: " + fmt.Sprintf(format, args...)}
}
