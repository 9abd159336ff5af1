package workload

import "strings"

// bearer returns the token that a request shows in Authorization (RFC 6750
// section 2.1): there must be exactly one such field, with the scheme Bearer (in
// any case, RFC 9110 section 11.1), one space and the token. Tokens in a form or
// in the query are never looked for. The error is an [*authn.Error] with
// [ReasonMissing] or [ReasonMalformed]. It verifies nothing.
func bearer(fields []string) (string, error) {
	switch len(fields) {
	case 0:
		return "", refuse(ReasonMissing, "the request has no Authorization; send 'Authorization: Bearer' with this workload's token")
	case 1:
	default:
		return "", refuse(ReasonMalformed, "the request has %d Authorization fields; send one", len(fields))
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", refuse(ReasonMissing, "Authorization does not begin with 'Bearer' and a space; send 'Authorization: Bearer' with this workload's token")
	case token == "":
		return "", refuse(ReasonMissing, "Authorization has no token after Bearer; send this workload's token")
	}
	return token, nil
}
