// Package workload establishes callers that cannot do mutual TLS, by the bearer
// JWT that their platform gives them: a projected service account token of
// Kubernetes, or a token of any OpenID provider of workload identities.
//
// A token is judged from memory alone: the issuer's public keys are fetched in
// the background, and no request ever waits for them. A token that selects no
// known key is refused at once and has the keys fetched anew, but not often.
// While an issuer is out of reach its last keys serve on, for at most a day.
// Only the issuer's configured key set counts. Keys, certificates and addresses
// inside a token are never looked at (CVE-2018-0114).
//
// A bearer token names whoever holds it, so it is for TLS connections alone. It
// is consumed here and never sent on.
package workload

import (
	"context"
	"errors"
	"fmt"
	"github.com/rs/zerolog"
	"sync/atomic"
	"time"
)

// ErrRunning is the error of [Issuer.Run] when it runs already.
var ErrRunning = errors.New("running workload issuer: it runs already; run each issuer once")

// Config describes an issuer and where its keys are. Of JWKSURL and JWKSFile at
// most one is set. Without either the keys are those that the issuer announces
// at Issuer/.well-known/openid-configuration (OpenID Connect Discovery 1.0
// section 4), for which Issuer must be an https address.
type Config struct {
	// Name is the issuer's name in callers: "jwt:<Name>/<subject>". It is 1 to
	// 63 of a-z, 0-9, '.', '_' and '-'.
	Name string
	// Issuer is compared with the tokens' iss byte for byte: a slash at the end
	// makes another issuer.
	Issuer string
	// Audience must be among the tokens' aud. Choose one that stands for zproxy
	// alone, so that a token made for another service is none for zproxy, and
	// one that a caller shows to zproxy is of no use elsewhere.
	Audience string
	// JWKSURL is the https address of the issuer's key set (RFC 7517 section 5).
	JWKSURL string
	// JWKSFile is a file with the key set, read anew every few seconds. A file
	// that is missing or has no key that can be used is an error of [New]; later
	// it leaves the keys that were read before in use, for at most a day.
	JWKSFile string
	// CAFile has the CAs, in PEM, that the addresses above are trusted by. If
	// empty, those of the system. It is read anew for each fetch.
	CAFile string
	// BearerTokenFile has a token that is shown to get the keys: the API server of
	// Kubernetes gives them to authenticated callers alone, unless the role
	// system:service-account-issuer-discovery is bound more widely. It is read
	// anew for each fetch. It is never sent to an address that is announced on
	// another origin than Issuer's: set JWKSURL then. If empty, none is shown.
	BearerTokenFile string
	// Clock is what tokens and the server's certificate are held against. If
	// nil, time.Now.
	Clock func() time.Time
	// Every is how often keys are fetched, a quarter less at random. If 0, every 5
	// minutes, and every 5 seconds from JWKSFile.
	Every time.Duration
	// Pause is the least time between two fetches because of tokens that select a
	// key that is not known. If 0, 10 seconds.
	Pause time.Duration
	// Log is told of keys that change and of fetches that begin to fail and that
	// succeed again, once each. The zero value logs nothing.
	Log zerolog.Logger
}

func (c *Config) fill() {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Every == 0 && c.JWKSFile != "" {
		c.Every = 5 * time.Second
	}
	if c.Every == 0 {
		c.Every = 5 * time.Minute
	}
	if c.Pause == 0 {
		c.Pause = 10 * time.Second
	}
}

// Issuer keeps the keys of one issuer. Its methods may be called concurrently.
type Issuer struct {
	name, issuer, audience string

	every, pause time.Duration

	source  source
	clock   func() time.Time
	log     zerolog.Logger
	state   atomic.Pointer[state]
	wake    chan struct{} // holds one wish for newer keys
	running atomic.Bool
}

// New checks the configuration and reads the files that it names; it does not
// touch the network. The error says which setting is wrong, and what to do.
func New(c Config) (*Issuer, error) {
	c.fill()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("making workload issuer %.80q: %w", c.Name, err)
	}
	i := &Issuer{
		name: c.Name, issuer: c.Issuer, audience: c.Audience,
		every: c.Every, pause: c.Pause, clock: c.Clock, log: c.Log, wake: make(chan struct{}, 1),
	}
	i.source = newSource(c)
	i.state.Store(new(state))
	if err := i.source.checkFiles(); err != nil {
		return nil, fmt.Errorf("making workload issuer %q: %w", c.Name, err)
	}
	if c.JWKSFile != "" {
		if err := i.refresh(context.Background()); err != nil {
			return nil, fmt.Errorf("making workload issuer %q: %w", c.Name, err)
		}
	}
	return i, nil
}

// Inherit takes over the keys that another has fetched, with their age, if they
// are of the same issuer and come from the same place by the same trust: what an
// operator changes besides is no reason to be without keys while the issuer is out
// of reach. It is to be called before Run.
func (i *Issuer) Inherit(from *Issuer) {
	a, b := i.source, from.source
	if a.jwksFile != "" || a.issuer != b.issuer || a.jwksURL != b.jwksURL || a.jwksFile != b.jwksFile || a.caFile != b.caFile {
		return
	}
	if st := from.state.Load(); st.keys != nil {
		i.state.Store(&state{keys: st.keys, fetched: st.fetched})
	}
}

// Status is a snapshot of an issuer, for readiness and metrics.
type Status struct {
	// Ready is whether tokens can be verified: keys are known, and were confirmed
	// within the last day. Old keys go on serving while fetches fail.
	Ready bool
	// Keys counts the keys that tokens can be verified with.
	Keys int
	// Fetched is when they were last confirmed; zero when none are known.
	Fetched time.Time
	// Err is why the last fetch failed; nil after one that succeeded.
	Err error
	// Failed is when it failed; zero after one that succeeded.
	Failed time.Time
}

// Status returns what is known now.
func (i *Issuer) Status() Status {
	st := i.state.Load()
	return Status{Ready: st.serves(i.clock()), Keys: st.keys.usable(), Fetched: st.fetched, Err: st.err, Failed: st.failed}
}
