package serviceuser

import (
	"math/rand/v2"
	"time"
)

const (
	// Without a token every request fails, so the source asks often: in the
	// first 4 s of a fault about five times, and then every 4 s or so.
	firstPause = 250 * time.Millisecond
	maxPause   = 4 * time.Second
	// While a token still serves, haste gains nothing.
	maxPauseServing = time.Minute

	// Tokens that the upstream refuses right away would make a fetch of every
	// request.
	firstDiscardPause = time.Second
	maxDiscardPause   = 30 * time.Second
	// provenAge is how old a token must have become for its refusal to count as
	// the first.
	provenAge = time.Minute

	// minInterval separates two refreshes however short tokens live.
	minInterval = time.Second
	// maxLeeway is how long before its expiry a token is no longer handed out,
	// so that it is still valid when the request arrives.
	maxLeeway = 10 * time.Second
)

// pause grows from first to limit, doubling with each failure, a quarter more or
// less at random so that instances that failed together do not return together.
func pause(failures int, first, limit time.Duration) time.Duration {
	d := limit
	if failures < 30 {
		d = min(first<<max(failures-1, 0), limit)
	}
	return jitter(d, 0.75, 1.25)
}

// failurePause is how long to wait after so many failures in a row, when the
// current token serves for another left.
func failurePause(failures int, left time.Duration) time.Duration {
	return pause(failures, firstPause, min(max(left/8, maxPause), maxPauseServing))
}

// refreshAfter is when to fetch again: at about two thirds of the lifetime.
func refreshAfter(life time.Duration) time.Duration {
	return max(jitter(life, 0.60, 0.70), minInterval)
}

// leeway is a tenth of short lifetimes, so that they are of use at all.
func leeway(life time.Duration) time.Duration { return min(life/10, maxLeeway) }

func jitter(d time.Duration, low, high float64) time.Duration {
	return time.Duration(float64(d) * (low + (high-low)*rand.Float64()))
}
