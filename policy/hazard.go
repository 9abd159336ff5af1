package policy

import (
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// hazardClass is a class under the name that rules give it.
func hazardClass(name string) (operation.Hazards, bool) {
	switch name {
	case "mints-credential":
		return operation.MintsCredential, true
	case "returns-code":
		return operation.ReturnsCode, true
	case "plants-credential":
		return operation.PlantsCredential, true
	case "grants-role":
		return operation.GrantsRole, true
	case "bulk":
		return operation.Bulk, true
	case "reaches-other-calls":
		return operation.ReachesOtherCalls, true
	case "own-user":
		return operation.OwnUser, true
	}
	return 0, false
}

const hazardNames = "mints-credential, returns-code, plants-credential, grants-role, bulk, reaches-other-calls, own-user"

// hazardList writes h as a rule would: "grants-role, bulk".
func hazardList(h operation.Hazards) string {
	var names []string
	for name := range strings.SplitSeq(hazardNames, ", ") {
		if class, _ := hazardClass(name); h&class != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// toAccept is what a rule must name. The caller's own token acts on the
// caller's own user, so own-user is no hazard of such a rule.
func toAccept(op *operation.Operation, as string) operation.Hazards {
	if as == AsCaller {
		return op.Hazards &^ operation.OwnUser
	}
	return op.Hazards
}

// takesCallerToken tells the operations that a caller's own user token is for.
func takesCallerToken(name operation.Name) bool {
	return name == "oidc/userinfo" || strings.HasPrefix(string(name), "zitadel.auth.v1.AuthService/")
}
