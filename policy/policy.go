// Package policy decides whether a caller may perform an operation. It is pure:
// no I/O, no clock, no state beyond the rules it was compiled from.
package policy

import (
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/operation"
)

// AsCaller in [Rule.As] passes the caller's own user token on instead of
// attaching a service user's.
const AsCaller = "caller"

// Rule allows callers × operations and names the service user that performs
// them. Nothing is allowed but by a rule; an empty list never means "any".
type Rule struct {
	Name string
	// Callers are identities, or SPIFFE IDs with '*' for one whole path segment.
	Callers []string
	// Operations are full names, or Service/Prefix* for the methods of one
	// service that carry no hazard. '*' never stands for a service.
	Operations []string
	// Except takes operations out again; same forms.
	Except []string
	// Hazards are the classes that the rule accepts for operations it names in full.
	Hazards []string
	// Organizations: empty drops the caller's x-zitadel-orgid, ["*"] passes it,
	// and ids keep the request within these organizations.
	Organizations []string
	// When is a condition in CEL over request, caller and operation; "" is none.
	When string
	// As is a service user's name, or AsCaller.
	As string
	// Shadow rules are evaluated and recorded, and grant nothing.
	Shadow bool
	// Learn finds out what callers need: Operations may be "*", every operation
	// without hazards, and what the rule allows has the reason [ReasonLearning].
	// It needs Until and a service user.
	Learn bool
	// Until is when the rule ends; the zero time is never.
	Until time.Time
}

// Effect is allow or deny; the zero Effect denies.
type Effect uint8

// The effects.
const (
	Deny Effect = iota
	Allow
)

// Reason is the code of a decision, recorded and answered verbatim.
type Reason string

// The reasons of decisions.
const (
	ReasonAllowed    Reason = "allowed"
	ReasonLearning   Reason = "learning"         // allowed by a rule that finds out what callers need
	ReasonNoRule     Reason = "no_rule"          // no rule has this caller and this operation
	ReasonHazard     Reason = "hazard"           // a rule's wildcard covers it but for its hazards
	ReasonExcept     Reason = "except"           // a rule takes it out by except
	ReasonOwnUser    Reason = "own_service_user" // aimed at one of zproxy's own service users
	ReasonUnreadable Reason = "unreadable_body"  // the body cannot be read, or not in one way only
	// A rule covers caller and operation, and the request is not within its organizations.
	ReasonOrganization Reason = "organization_not_allowed"
	// A rule covers caller and operation, and its condition does not hold.
	ReasonCondition Reason = "condition_not_met"
	// A rule covers caller and operation, and has ended.
	ReasonEnded Reason = "rule_ended"
)

// Facts is what the request itself adds to the decision.
type Facts struct {
	// OwnServiceUser: path, query or body mention the user id of one of our service users.
	OwnServiceUser bool
	// Now is the time of the request. Rules with an end allow nothing without it.
	Now time.Time
	// Organization is the caller's x-zitadel-orgid; "" when there is none.
	Organization string
	// Message is the request message, which rules with organizations or a
	// condition look into: without it they allow nothing. See [Policy.Looks].
	Message protoreflect.Message
	// Variables are those of the path; they tell the organization of operations
	// that have no request message.
	Variables []operation.Variable
}

// Decision is the result of [Policy.Decide]. The zero Decision denies.
type Decision struct {
	Effect Effect
	Reason Reason
	Rule   string // name of the rule that decided; on deny the one that came closest, or ""
	As     string // service user, or AsCaller; "" on deny
	// PassOrganization: the caller's x-zitadel-orgid goes upstream.
	PassOrganization bool
	// Organization goes upstream as x-zitadel-orgid; "" for none.
	Organization string
	// Detail says, for the caller, what of the request a rule does not allow.
	Detail string
	// Shadow is the first shadow rule that would have allowed; "" if none.
	Shadow string
	// RuleIndex is the position of Rule among the compiled rules; -1 without one.
	RuleIndex int
}
