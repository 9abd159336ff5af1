package proxy

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/policy/organization"
)

// Listener is the handler of one listener: callers are who says tells they are.
// All are to be made before any is served.
func (p *Proxy) Listener(name string, says authn.Authenticator) http.Handler {
	p.says[name] = says
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := p.newExchange(name, w, r)
		defer x.end()
		if refusal := x.prepare(says); refusal != nil {
			x.refuse(refusal)
			return
		}
		x.forwardUpstream()
	})
}

// Gone is the handler of a listener that is configured no more, for requests on
// connections that are about to end.
func (p *Proxy) Gone(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := p.newExchange(name, w, r)
		defer x.end()
		_ = x.operation() // to know in which protocol to answer
		w.Header().Set("Connection", "close")
		x.refuse(refuse(ReasonListenerGone, "listener "+name+" was removed from zproxy's configuration; ask its operator where to connect"))
	})
}

// prepare is the way of a request up to forwarding: everything that can fail.
// Operation comes first only to know in which protocol to answer.
func (x *exchange) prepare(says authn.Authenticator) *refusal {
	resolveErr := x.operation()
	if r := x.caller(says); r != nil {
		return r
	}
	if r := admit(x.in, x.headerBytes); r != nil {
		return r
	}
	if resolveErr != nil {
		return x.unresolved(resolveErr)
	}
	for _, step := range [...]func(*exchange) *refusal{
		(*exchange).judge,
		(*exchange).organization,
		(*exchange).ownUsers,
		(*exchange).inspect,
		(*exchange).signIn,
		(*exchange).fetches,
		(*exchange).still,
		(*exchange).evidence,
		(*exchange).limit,
		(*exchange).enter,
		(*exchange).token,
	} {
		if r := step(x); r != nil {
			return r
		}
	}
	return nil
}

// operation names what ZITADEL would be made to do.
func (x *exchange) operation() error {
	contentType := ""
	if v := x.in.Header["Content-Type"]; len(v) > 0 {
		contentType = v[0]
	}
	var err error
	x.resolved, err = x.catalogue.Resolve(operation.Request{
		Method: x.in.Method, Target: x.in.RequestURI, ContentType: contentType,
	})
	x.record.Protocol = x.resolved.Protocol.String()
	if err == nil {
		x.record.Operation = string(x.resolved.Operation.Name)
	}
	return err
}

func (x *exchange) unresolved(err error) *refusal {
	var e *operation.Error
	if errors.As(err, &e) {
		return refuse(Reason(e.Reason), e.Detail)
	}
	return refuse(ReasonMalformed, "the request cannot be resolved")
}

// caller establishes who is on this connection.
func (x *exchange) caller(says authn.Authenticator) *refusal {
	var err error
	x.shown = x.in.Header["Authorization"]
	x.identity, err = says.Authenticate(x.in)
	if x.identity.Peer != "" {
		x.record.Peer = x.identity.Peer
	}
	x.record.Thumbprint = x.identity.Thumbprint
	if err != nil {
		var e *authn.Error
		if !errors.As(err, &e) {
			return refuse(Reason(authn.ReasonUnknownCaller), "the caller cannot be named")
		}
		r := refuse(Reason(e.Reason), e.Detail)
		if e.Reason == authn.ReasonKeysUnavailable {
			r.retryAfter = 1
		}
		return r
	}
	x.record.Caller = x.identity.Caller.String()
	return nil
}

// decide asks the policy; what the target mentions is known already.
func (x *exchange) decide() *refusal {
	facts := policy.Facts{
		OwnServiceUser: targetMentions(&x.resolved, x.own.IDs), Organization: x.in.Header.Get("X-Zitadel-Orgid"),
		Message: x.message, Variables: x.resolved.Variables, Now: x.clock(),
	}
	x.decision = x.policy.Decide(x.identity.Caller, x.resolved.Operation, facts)
	x.record.Reason = string(x.decision.Reason)
	x.record.Rule = x.decision.Rule
	x.record.Shadow = x.decision.Shadow
	x.record.ServiceUser = x.decision.As
	if x.decision.Effect != policy.Allow {
		return x.denied()
	}
	x.record.Effect = effectAllow
	x.stage("decided")
	return nil
}

// organization settles x-zitadel-orgid: the rule's own, or the caller's if the
// rule passes it, or none.
func (x *exchange) organization() *refusal {
	if id := x.decision.Organization; id != "" {
		x.org = []string{id}
		x.record.Organization = id
		return nil
	}
	given := x.in.Header["X-Zitadel-Orgid"]
	if !x.decision.PassOrganization || len(given) == 0 || given[0] == "" {
		return nil
	}
	if !organization.IsID(given[0]) {
		return refuse(ReasonOrganization, "x-zitadel-orgid is not an organization id")
	}
	x.org = given
	x.record.Organization = given[0]
	return nil
}

// evidence writes the intent record before anything that changes state. While
// records cannot be written it is asked of every request: one that succeeds
// shows that they can be again.
func (x *exchange) evidence() *refusal {
	if !x.resolved.Operation.Changes && x.audit.Healthy() {
		return nil
	}
	intent := x.record
	intent.Kind = audit.Intent
	if err := x.audit.Write(&intent); err != nil {
		x.evidenceLost(err)
		r := refuse(ReasonEvidence, "the audit record cannot be written, and nothing is forwarded without one; ask zproxy's operator to look at its log")
		r.retryAfter = 1
		return r
	}
	x.stage("evidence written")
	return nil
}

// limit takes the request out of the rule's rate and the caller's share of the upstream's.
func (x *exchange) limit() *refusal {
	no, ok := x.limits.Take(x.decision.Rule, x.record.Caller, x.clock())
	if ok {
		return nil
	}
	what := "rule " + no.Rule + " allows " + x.record.Caller
	if no.Rule == "" {
		what = "callers share what the upstream may be asked, and " + x.record.Caller + " is beyond its part of"
	}
	r := refuse(ReasonLimit, what+" "+strconv.FormatFloat(no.Limit.Rate, 'g', 4, 64)+
		" requests a second and "+strconv.Itoa(no.Limit.Burst)+" at once; send fewer, or raise the limit")
	r.retryAfter = max(1, int(math.Ceil(no.Wait.Seconds())))
	return r
}

// token takes the service user's current token from memory, or the caller's own.
// Only while none is held because the first or the one that replaces a refused
// one is being fetched, that fetch is waited for.
func (x *exchange) token() *refusal {
	if x.decision.As == policy.AsCaller {
		given := x.in.Header["Authorization"]
		if len(given) != 1 || !userToken(given[0]) {
			return refuse(ReasonNoUserToken, "rule "+x.decision.Rule+" passes the caller's own user token on, and the request has none; send Authorization: Bearer <token>")
		}
		x.auth = given
		return nil
	}
	x.user = x.users[x.decision.As]
	if x.user == nil {
		return refuse(ReasonTokenUnavailable, "service user "+x.decision.As+" is not there")
	}
	token, err := x.user.Token()
	if err != nil && soon(err) {
		wait := freshTokenWait
		if x.hasDeadline {
			wait = min(wait, x.given-x.clock().Sub(x.begin))
		}
		ctx, cancel := context.WithTimeout(x.in.Context(), wait)
		defer cancel()
		token, err = x.user.Next(ctx, nil)
	}
	if err != nil && x.pastDeadline() {
		return x.pastDeadlineRefusal()
	}
	if err != nil {
		return x.noToken(err)
	}
	x.auth = token.Authorization
	x.held = token
	return nil
}

// soon tells whether a token is being fetched that is worth a wait.
func soon(err error) bool {
	var none *serviceuser.UnavailableError
	return errors.As(err, &none) && none.Soon
}

func (x *exchange) noToken(err error) *refusal {
	r := refuse(ReasonTokenUnavailable, err.Error())
	r.retryAfter = 1
	return r
}
