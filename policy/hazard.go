package policy

import (
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// hazardList writes h as a rule would: "grants-role, bulk".
func hazardList(h operation.Hazards) string { return strings.Join(h.Names(), ", ") }

// everyHazard is the set of all classes; own-user is the last of them.
const everyHazard = operation.OwnUser<<1 - 1

// toAccept is what a rule must name. The caller's own token acts on the
// caller's own user, so own-user is no hazard of such a rule.
func toAccept(op *operation.Operation, as string) operation.Hazards {
	if as == AsCaller {
		return op.Hazards &^ operation.OwnUser
	}
	return op.Hazards
}

// ChangesItself tells the operations that change the user whose token it is and
// name nobody: performed as a service user, the service user itself. Only rules
// with [AsCaller] may have them.
func ChangesItself(op *operation.Operation) bool {
	return op.Changes && (strings.HasPrefix(string(op.Name), authService) || op.Hazards&operation.OwnUser != 0 && !op.NamesUser)
}

// authService begins the names of the operations that are about the token's own user.
const authService = "zitadel.auth.v1.AuthService/"

// takesCallerToken tells the operations that a caller's own user token is for.
func takesCallerToken(name operation.Name) bool {
	return name == "oidc/userinfo" || strings.HasPrefix(string(name), authService)
}
