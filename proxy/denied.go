package proxy

import (
	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// denied says why, and which lines would allow it if the configuration lets callers know.
func (x *exchange) denied() *refusal {
	x.record.Effect, x.record.ServiceUser = effectDeny, ""
	x.record.Rule, x.record.Shadow = x.decision.Rule, x.decision.Shadow
	message := deniedMessage(x.decision, x.identity.Caller, x.resolved.Operation)
	if x.hints {
		if hint := x.policy.Hint(x.identity.Caller, x.resolved.Operation); hint != "" && x.decision.Reason != policy.ReasonOwnUser && x.decision.Reason != policy.ReasonUnreadable {
			message += "; " + hint
		}
	}
	return refuse(Reason(x.decision.Reason), message)
}

func deniedMessage(d policy.Decision, caller authn.Caller, op *operation.Operation) string {
	what := caller.String() + " to perform " + string(op.Name)
	switch d.Reason {
	case policy.ReasonHazard:
		return "rule " + d.Rule + " allows " + caller.String() + " by a wildcard, which never covers a hazardous operation (" +
			op.Hazards.String() + "): " + string(op.Name) + " needs its full name and its hazards in a rule"
	case policy.ReasonExcept:
		return "rule " + d.Rule + " excepts this and no other rule allows " + what
	case policy.ReasonOwnUser:
		if d.Detail != "" {
			return d.Detail
		}
		return "the request mentions one of zproxy's own service users; operations aimed at those are always refused"
	case policy.ReasonOrganization, policy.ReasonCondition, policy.ReasonEnded:
		return "rule " + d.Rule + " does not allow this request of " + what + ": " + d.Detail
	case policy.ReasonUnreadable:
		if d.Detail != "" {
			return "the request for " + string(op.Name) + " is judged by its fields and cannot be read in one way: " + d.Detail
		}
		return "the body of " + string(op.Name) + " can name a user and is not framed or compressed as it says; send it whole"
	}
	return "no rule allows " + what
}
