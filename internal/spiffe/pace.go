package spiffe

import (
	"math/rand/v2"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// The agent is on the same machine: asking often costs little, and an SVID may
// have minutes left. Without connecting, a connection would be tried again after
// two minutes, however often the API is asked.
const (
	soonest = 100 * time.Millisecond
	latest  = 4 * time.Second
)

var connecting = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: soonest, Multiplier: 2, Jitter: 0.2, MaxDelay: latest},
	MinConnectTimeout: 5 * time.Second,
}

// pace implements [workloadapi.BackoffStrategy]: from soonest to latest, doubled
// each time, a part of it by chance.
type pace struct{}

// NewBackoff implements [workloadapi.BackoffStrategy].
func (pace) NewBackoff() workloadapi.Backoff { return &waits{next: soonest} }

type waits struct{ next time.Duration }

// Next implements [workloadapi.Backoff].
func (w *waits) Next() time.Duration {
	wait := w.next
	w.next = min(2*w.next, latest)
	return wait/2 + rand.N(wait/2)
}

// Reset implements [workloadapi.Backoff].
func (w *waits) Reset() { w.next = soonest }
