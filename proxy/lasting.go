package proxy

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/policy"
)

// streams are the requests under way that may go on for long: those of
// operations that may stream, and those whose caller still sends. What ZITADEL
// has in full is none: it ends under the policy it began with.
type streams struct {
	serving atomic.Pointer[Proxy] // by whose policy new requests are served

	mu   sync.Mutex
	open map[*exchange]context.CancelFunc
}

// lasts tells whether x may go on for long.
func (x *exchange) lasts() bool {
	return x.resolved.Operation.Unlisted || x.body != nil && !x.body.done.Load()
}

// begin makes the context that x is forwarded with, until end is called.
func (s *streams) begin(x *exchange) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(x.in.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*exchange]context.CancelFunc)
	}
	s.open[x], x.under = cancel, x.Proxy
	return ctx, func() { s.end(x, cancel) }
}

func (s *streams) end(x *exchange, cancel context.CancelFunc) {
	s.mu.Lock()
	delete(s.open, x)
	s.mu.Unlock()
	cancel()
}

// cut ends those that which chooses, with what it returns as the reason.
func (s *streams) cut(which func(*exchange) *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x, cancel := range s.open {
		if r := which(x); r != nil && x.cut.CompareAndSwap(nil, r) {
			cancel()
		}
	}
}

// lostFor is how long a request may go on whose caller lost its rule: one that
// ends by then does so under the policy that it began with.
const lostFor = 2 * time.Second

// Review ends the streams, those of proxies before p too, whose callers may not
// go on by p's policy: the caller is told no more, its rule is gone or has
// ended, or another service user or organization is in its place. It is to be
// called every second, and ends those that it has found so for two. It ends the
// requests of callers that stall, too.
func (p *Proxy) Review() {
	p.takers.cut()
	now := p.clock()
	p.streams.cut(func(x *exchange) *refusal {
		switch {
		case x.bodyStalls(p.stall):
			return refuse(ReasonStalled, "the caller has sent nothing of its body for "+p.stall.String()+"; send it at once, or raise limits.stall")
		case !x.lasts() || p.keeps(x):
			x.lostAt = time.Time{}
			return nil
		case x.lostAt.IsZero():
			x.lostAt = now
			return nil
		case now.Sub(x.lostAt) < lostFor:
			return nil
		}
		return x.lost()
	})
}

// still refuses what another proxy in this one's place does not give: a body can
// take half a minute, in which a reload took the rule away. What began less than
// lostFor ago ends under the policy that it began with, as a stream does.
func (x *exchange) still() *refusal {
	if p := x.streams.serving.Load(); p == x.Proxy || x.clock().Sub(x.begin) < lostFor || p.keeps(x) {
		return nil
	}
	x.record.Effect, x.record.ServiceUser = effectDeny, ""
	return x.lost()
}

func (x *exchange) lost() *refusal {
	return refuse(ReasonRuleLost, "no rule allows "+x.record.Caller+" any more to perform "+string(x.resolved.Operation.Name)+" as it began")
}

// CutStreams ends all streams because zproxy ends.
func (p *Proxy) CutStreams() {
	p.streams.cut(func(*exchange) *refusal {
		return refuse(ReasonEnding, "zproxy ends, and this request has had its time; send it again")
	})
}

// keeps tells whether p's policy gives x what it began with.
func (p *Proxy) keeps(x *exchange) bool {
	if x.under != p { // who the caller is changes by a reload only
		says := p.says[x.record.Listener]
		if says == nil {
			return false
		}
		if id, err := x.again(says); err != nil || id.Caller.String() != x.record.Caller {
			return false
		}
		x.under = p
	}
	op, ok := p.catalogue.Lookup(x.resolved.Operation.Name)
	if !ok {
		return false
	}
	now, then := p.policy.Decide(x.identity.Caller, op, policy.Facts{
		Organization: x.in.Header.Get("X-Zitadel-Orgid"), Message: x.message, Variables: x.resolved.Variables, Now: p.clock(),
	}), x.decision
	return now.Effect == policy.Allow && now.As == then.As && now.Organization == then.Organization && now.PassOrganization == then.PassOrganization
}

// again asks says who sent the request. It is asked of a copy that has what the
// one before may have taken from in, which others read meanwhile.
func (x *exchange) again(says authn.Authenticator) (authn.Identity, error) {
	in := &http.Request{
		Method: x.in.Method, URL: x.in.URL, RequestURI: x.in.RequestURI, Proto: x.in.Proto, ProtoMajor: x.in.ProtoMajor, ProtoMinor: x.in.ProtoMinor,
		Header: maps.Clone(x.in.Header), Host: x.in.Host, RemoteAddr: x.in.RemoteAddr, TLS: x.in.TLS,
	}
	if x.shown != nil {
		in.Header["Authorization"] = x.shown
	}
	return says.Authenticate(in.WithContext(x.in.Context()))
}
