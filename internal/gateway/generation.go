package gateway

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/ownuser"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/proxy"
)

// generation is everything that one reading of the configuration made, and that
// requests are served with. Each request takes the generation that is current
// when it begins, and keeps it: no request sees two.
type generation struct {
	cfg       *config.Config
	loaded    time.Time
	catalogue *operation.Catalogue
	policy    *policy.Policy
	trust     *trusted
	sources   map[string]*source
	issuers   map[string]*issuer // of listeners whose callers show tokens, as "<listener>/<issuer name>"
	own       *ownuser.Users
	upstream  *upstream
	proxy     *proxy.Proxy
	handlers  map[string]http.Handler // by listener
	fronts    []*front                // in the order of the configuration
	admin     *front                  // nil: off

	users atomic.Int64  // requests, and one for the gateway while it is current
	left  chan struct{} // closed when the last one has left
	stop  func()        // ends what runs for this generation alone
	undo  []func()      // what was changed of before's, if this one is not to serve
	next  *audit.Successor
}

// start begins to fetch tokens, to learn whose they are, and to obtain what
// proves the listeners that before has not got.
func (n *generation) start(j *jobs, before *generation) {
	n.upstream.enter()
	for _, s := range n.sources {
		s.enter(j)
	}
	for _, i := range n.issuers {
		i.enter(j)
	}
	for _, f := range n.fronts {
		if before == nil || !before.has(f) {
			f.obtain(j)
		}
	}
	n.stop = j.start(n.own.Run)
}

// firstTokens gives the first fetch of every service user, of every issuer's
// keys, and of every listener's certificate, a moment, so that those who call at once are served; a
// failed or slow one holds nothing up.
func (n *generation) firstTokens(ctx context.Context, moment time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	var all sync.WaitGroup
	for _, s := range n.sources {
		all.Go(func() { _, _ = s.Next(ctx, nil) }) // the source tells of its failures itself
	}
	for _, i := range n.issuers {
		all.Go(func() { i.first(ctx) })
	}
	for _, f := range n.fronts {
		if f.secured != nil {
			all.Go(func() { f.secured.first(ctx) })
		}
	}
	all.Wait()
}

// ready gives the first tokens a moment, and the question whose those are that
// before has not got: until that is known, requests that change users would be refused.
func (n *generation) ready(ctx context.Context, moment time.Duration, before *generation) {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	n.firstTokens(ctx, moment)
	if !n.hasNewSources(before) {
		return
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for known := n.own.Known(); !known.Whole || !known.Sessions; known = n.own.Known() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (n *generation) hasNewSources(before *generation) bool {
	for name, s := range n.sources {
		if before.sources[name] != s {
			return true
		}
	}
	return false
}

// enter counts a request, unless the generation has been left for good.
func (n *generation) enter() bool {
	for {
		now := n.users.Load()
		if now == 0 {
			return false
		}
		if n.users.CompareAndSwap(now, now+1) {
			return true
		}
	}
}

// leave ends a request of the generation, or its time as the current one.
func (n *generation) leave() {
	if n.users.Add(-1) == 0 {
		close(n.left)
	}
}

// end stops what runs for the generation alone, once nobody uses it any more.
func (n *generation) end() {
	if n.stop == nil {
		return
	}
	n.stop()
	for _, s := range n.sources {
		s.leave()
	}
	for _, i := range n.issuers {
		i.leave()
	}
	n.upstream.leave()
}

// abandon undoes a generation that never served, but for what before has too.
func (n *generation) abandon(before *generation) {
	n.end()
	for _, undo := range slices.Backward(n.undo) {
		undo()
	}
	if n.next != nil {
		_ = n.next.Discard() // nothing was written to it
	}
	for _, f := range n.all() {
		if before == nil || !before.has(f) {
			_ = f.abandon(before)
		}
	}
}

// all are the fronts, that of the admin listener last.
func (n *generation) all() []*front {
	if n.admin == nil {
		return n.fronts
	}
	return append(append([]*front(nil), n.fronts...), n.admin)
}

// has tells whether f serves for the generation.
func (n *generation) has(f *front) bool {
	return slices.Contains(n.all(), f)
}

// hasSocket tells whether s is open for the generation.
func (n *generation) hasSocket(s *socket) bool {
	return slices.ContainsFunc(n.all(), func(f *front) bool { return f.socket == s })
}
