package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/ownuser"
	"github.com/zproxy/zproxy/internal/turns"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/proxy/limit"
)

// Config is what a [Proxy] is built from: collaborators, not paths.
type Config struct {
	// Catalogue names the operations. Required.
	Catalogue *operation.Catalogue
	// Policy decides. Required; compiled against the same Catalogue.
	Policy *policy.Policy
	// ServiceUsers by name; every `as` of Policy but "caller" must be here.
	ServiceUsers map[string]ServiceUser
	// OwnUsers tells whom no request may be aimed at; it is called once for each
	// request. If nil, it is those whose UserID the ServiceUsers know.
	OwnUsers func() ownuser.Known
	// Upstream is where allowed requests go. Required.
	Upstream *Upstream
	// Audit takes the records. Required; an error of it refuses requests.
	Audit Recorder
	// ForwardHeaders pass besides the built-in allowlist.
	ForwardHeaders HeaderPatterns
	// HeaderBytes and BodyBytes bound a request; InspectBytes bounds a body that
	// is read before it is forwarded. All in bytes, all required. InspectTotal
	// bounds what such bodies hold together; if 0, eight of the largest.
	HeaderBytes  int
	BodyBytes    int64
	InspectBytes int64
	InspectTotal int64
	// Stall is how long a caller may take nothing of its answer over HTTP/2, or
	// send nothing of a body that does not stream, before [Proxy.Review] ends the
	// request. If 0, a minute. What HTTP/1 callers take is the connection's to
	// watch: its writes are to fail with an [os.ErrDeadlineExceeded].
	Stall time.Duration
	// UpstreamLimit bounds what the upstream is asked, in requests, and is shared
	// fairly among callers. If nil, nothing does.
	UpstreamLimit *limit.Limit
	// RuleLimits bound each caller of a rule, by the rule's name.
	RuleLimits map[string]limit.Limit
	// Before is the proxy whose place this one takes with [Proxy.Begin]: what callers have used of
	// limits that stay counts on. If nil, there is none.
	Before *Proxy
	// Hints adds to a refusal the lines that would allow it.
	Hints bool
	// Log tells the operator of what no caller sees. The zero Logger says nothing.
	Log zerolog.Logger
	// Observe is called with each outcome record after it was written; it must
	// not keep it. If nil, nobody is told.
	Observe func(*audit.Record)
	// Trace follows requests. If nil, nothing does, and the context that callers
	// send goes upstream as it is.
	Trace Tracer
	// Clock and NewID are for tests. If nil, time.Now and 128 random bits.
	Clock func() time.Time
	NewID func() string
}

// ServiceUser hands out the access tokens of one ZITADEL service user; see
// [serviceuser.Source].
type ServiceUser interface {
	// Token is the current token, from memory.
	Token() (*serviceuser.Token, error)
	// Discard tells that ZITADEL refused t.
	Discard(t *serviceuser.Token)
	// Next waits for a token newer than t.
	Next(ctx context.Context, t *serviceuser.Token) (*serviceuser.Token, error)
	// UserID is the service user's id in ZITADEL, "" when nothing tells it; it never changes.
	UserID() string
	// SystemUser tells whether it is a user of the System API.
	SystemUser() bool
}

// Recorder writes audit records; see [audit.Log].
type Recorder interface {
	Write(*audit.Record) error
	Healthy() bool
}

// Proxy enforces one policy in front of one ZITADEL instance. It is safe for
// concurrent use; [Proxy.Listener] makes the handler of each listener.
type Proxy struct {
	catalogue  *operation.Catalogue
	policy     *policy.Policy
	users      map[string]ServiceUser
	own        func() ownuser.Known
	zitadel    *Upstream
	audit      Recorder
	forward    HeaderPatterns
	limits     *limit.Limits
	hints      bool
	log        zerolog.Logger
	reverseLog *log.Logger
	observe    func(*audit.Record)
	tracer     Tracer
	clock      func() time.Time
	newID      func() string

	headerBytes  int
	bodyBytes    int64
	inspectBytes int64
	stall        time.Duration

	says    map[string]authn.Authenticator // by listener
	streams *streams
	takers  *takers

	memory *shares      // of bodies that are read whole
	most   int64        // of it
	turns  *turns.Turns // of each caller's large ones, to be judged or searched
}

// New checks that c is whole.
func New(c Config) (*Proxy, error) {
	switch {
	case c.Catalogue == nil, c.Policy == nil, c.Upstream == nil, c.Audit == nil:
		return nil, errors.New("making proxy: catalogue, policy, upstream and audit are all required")
	case c.HeaderBytes <= 0, c.BodyBytes <= 0, c.InspectBytes <= 0:
		return nil, errors.New("making proxy: the limits of header, body and inspected body must be above zero")
	}
	for _, name := range c.Policy.RequiredServiceUsers() {
		if c.ServiceUsers[name] == nil {
			return nil, fmt.Errorf("making proxy: the policy names service user %q, which is not there", name)
		}
	}
	p := &Proxy{
		catalogue: c.Catalogue, policy: c.Policy, users: c.ServiceUsers, zitadel: c.Upstream, audit: c.Audit,
		forward: c.ForwardHeaders, hints: c.Hints, log: c.Log, reverseLog: log.New(c.Log, "", 0), observe: c.Observe, tracer: c.Trace, clock: c.Clock, newID: c.NewID,
		headerBytes: c.HeaderBytes, bodyBytes: c.BodyBytes, inspectBytes: c.InspectBytes, stall: c.Stall,
		own: c.OwnUsers, limits: limit.New(c.UpstreamLimit, c.RuleLimits),
	}
	if p.stall == 0 {
		p.stall = time.Minute
	}
	p.follow(c)
	if p.own == nil {
		p.own = named(c.ServiceUsers)
	}
	if p.clock == nil {
		p.clock = time.Now
	}
	if p.newID == nil {
		p.newID = rand.Text
	}
	return p, nil
}

// follow takes over what requests have taken, and shares what they still hold.
func (p *Proxy) follow(c Config) {
	if p.most = c.InspectTotal; p.most == 0 {
		p.most = 8 * c.InspectBytes
	}
	p.says = make(map[string]authn.Authenticator)
	if c.Before == nil {
		p.memory, p.streams, p.turns, p.takers = new(shares), new(streams), turns.New(1), new(takers)
		p.Begin()
		return
	}
	p.limits.Follow(c.Before.limits)
	p.memory, p.streams, p.turns, p.takers = c.Before.memory, c.Before.streams, c.Before.turns, c.Before.takers
}

// Begin puts a proxy in the place of the one before it. Up to then it changes
// nothing of that one.
func (p *Proxy) Begin() {
	p.memory.bound(p.most)
	p.takers.limit.Store(int64(p.stall))
	p.streams.serving.Store(p)
}

// named is what the service users themselves know.
func named(users map[string]ServiceUser) func() ownuser.Known {
	known := ownuser.Known{Complete: true, Whole: true, Sessions: true}
	for _, u := range users {
		if id := u.UserID(); id != "" {
			known.IDs = append(known.IDs, id)
		}
	}
	return func() ownuser.Known { return known }
}

// evidenceLost tells the operator that a record could not be written. Requests
// are refused until one can be.
func (p *Proxy) evidenceLost(err error) {
	p.log.Error().Err(err).Msg("writing audit record failed; requests are refused until it succeeds")
}
