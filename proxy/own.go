package proxy

import (
	"errors"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

// ownUsers refuses changes of users while it is not known whose all the service
// users' tokens are: one of them could be the target.
func (x *exchange) ownUsers() *refusal {
	op := x.resolved.Operation
	names := op.Changes && (op.NamesUser || x.resolved.Protocol == operation.SCIM)
	switch {
	case !x.own.Complete && names:
	case !x.own.Whole && (signsIn(op.Name) || byAuthorization(op)):
	case !x.own.Sessions && bySession(op):
	default:
		return nil
	}
	r := refuse(ReasonOwnUsersUnknown, "zproxy has not learned from ZITADEL yet which users its own are, and what is theirs, and refuses "+
		string(op.Name)+", which could be aimed at one; try again")
	r.retryAfter = 1
	return r
}

// signIn refuses sessions for zproxy's own users by their login names: names
// may be parts of other texts, so that a mention is not enough and the message
// has to be read. A session's token would act as the user.
func (x *exchange) signIn() *refusal {
	if len(x.own.LoginNames) == 0 || !signsIn(x.resolved.Operation.Name) {
		return nil
	}
	if r := x.readLate(); r != nil {
		return r
	}
	if x.message == nil {
		defer x.judged()
		err := x.await()
		if errors.Is(err, errTurn) {
			return x.bodyRefused(err)
		}
		if x.message, err = x.readMessage(x.inspectBytes); err != nil {
			x.decision = policy.Decision{Reason: policy.ReasonUnreadable, Rule: x.decision.Rule, RuleIndex: -1, Detail: err.Error()}
			return x.denied()
		}
	}
	if !namesLogin(x.message, x.own.LoginNames) {
		return nil
	}
	return x.bodyRefused(errOwnUser)
}

// importData can name users where nobody sees them.
const importData = operation.Name("zitadel.admin.v1.AdminService/ImportData")

// fetches refuses imports that ZITADEL fetches from a file or a bucket: they
// could give our own users keys and memberships. In JSON a mention of such a
// field is enough, as it is for ids.
func (x *exchange) fetches() *refusal {
	if len(x.own.IDs) == 0 || x.resolved.Operation.Name != importData {
		return nil
	}
	if r := x.readLate(); r != nil {
		return r
	}
	body, err := oneMessage(x.whole, x.bodyForm(), x.inspectBytes)
	if err != nil {
		return x.bodyRefused(err)
	}
	types, err := message.Default()
	if err != nil {
		return x.bodyRefused(err)
	}
	shape, _ := types.Of(importData)
	fields := message.Elsewhere(shape)
	found := false
	if x.resolved.JSON {
		var names []string
		for _, f := range fields {
			names = append(names, f.JSONName(), string(f.Name()))
		}
		found = mentions(body, names)
	} else if found, err = message.Gives(body, fields); err != nil {
		return x.bodyRefused(err)
	}
	if !found {
		return nil
	}
	x.decision = policy.Decision{Reason: policy.ReasonOwnUser, RuleIndex: -1,
		Detail: "zitadel would fetch the import from elsewhere, where it can name zproxy's own service users; send it in the request"}
	return x.denied()
}

// byAuthorization tells the operations that change an authorization (v1: user
// grant) by its own id, whosever it is.
func byAuthorization(op *operation.Operation) bool {
	name := string(op.Name)
	return op.Changes && (strings.Contains(name, ".AuthorizationService/") || strings.Contains(name, "ManagementService/") && strings.Contains(name, "UserGrant"))
}

// bySession tells the operations that change, or sign in by, a session that
// they name by its own id.
func bySession(op *operation.Operation) bool {
	service, method, _ := strings.Cut(string(op.Name), "/")
	switch service {
	case "zitadel.session.v2.SessionService", "zitadel.session.v2beta.SessionService":
		return op.Changes && method != "CreateSession"
	case "zitadel.oidc.v2.OIDCService", "zitadel.oidc.v2beta.OIDCService", "zitadel.saml.v2.SAMLService":
		return op.Changes
	}
	return false
}

// signsIn tells the operations that act on a user whom they know by login name.
func signsIn(name operation.Name) bool {
	service, method, _ := strings.Cut(string(name), "/")
	return (service == "zitadel.session.v2.SessionService" || service == "zitadel.session.v2beta.SessionService") &&
		(method == "CreateSession" || method == "SetSession")
}

// namesLogin looks for a field login_name, however deep, that is one of names in any case.
func namesLogin(m protoreflect.Message, names []string) bool {
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() || f.IsMap():
		case f.Message() != nil:
			found = namesLogin(v.Message(), names)
		case f.Name() == "login_name":
			// ZITADEL compares in lower case, which knows a letter that folding does not: U+0130.
			lower := strings.ToLower(v.String())
			for _, name := range names {
				ours := strings.ToLower(name)
				found = found || strings.EqualFold(name, v.String()) || ours == lower
			}
		}
		return !found
	})
	return found
}
