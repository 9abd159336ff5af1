package keys

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// slowest is how rarely it is looked whether something is due, and quickest
	// how often, for plans that are shorter than anybody's but a test's.
	slowest  = time.Minute
	quickest = 100 * time.Millisecond
	// firstPause follows a failed step, and doubles with each further one up to longestPause.
	firstPause   = 5 * time.Second
	longestPause = 15 * time.Minute
)

// Run takes steps until ctx ends, and tells each that did or failed at
// something. While others hold the lease, and while ZITADEL cannot be asked,
// the key in use stays in use.
func (k *Keeper) Run(ctx context.Context, tell func(Outcome, error)) {
	failures := 0
	for {
		out, err := k.Step(ctx, false)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrBusy):
			err = nil
		case err != nil:
			failures++
		default:
			failures = 0
		}
		if err != nil || out.Rotated != "" || len(out.Removed) > 0 {
			tell(out, err)
		}
		timer := time.NewTimer(k.Plan.pause(failures))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// pause is how long to wait after a step, a fifth more or less so that replicas
// do not look together.
func (p Plan) pause(failures int) time.Duration {
	wait := slowest
	for _, d := range []time.Duration{p.Every, p.Grace} {
		if d > 0 {
			wait = min(wait, d/4)
		}
	}
	if wait = max(wait, quickest); failures > 0 {
		wait = min(max(wait, firstPause)<<min(failures-1, 10), longestPause)
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}
