package proxy

import (
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is a token bucket: Rate requests a second in the long run, Burst at once.
type Limit struct {
	Rate  float64
	Burst int
}

// limiters hold one bucket for the upstream and one for each rule and caller.
type limiters struct {
	upstream *rate.Limiter // nil: no limit
	rules    map[string]Limit
	callers  sync.Map // ruleCaller → *rate.Limiter; callers are authenticated, rules name them
}

type ruleCaller struct{ rule, caller string }

func newLimiters(upstream *Limit, rules map[string]Limit) *limiters {
	l := &limiters{rules: rules}
	if upstream != nil {
		l.upstream = rate.NewLimiter(rate.Limit(upstream.Rate), upstream.Burst)
	}
	return l
}

// take takes one request out of the rule's bucket and the upstream's, or
// neither, and says why not.
func (l *limiters) take(rule, caller string, now time.Time) *refusal {
	var own *rate.Reservation
	if limit, ok := l.rules[rule]; ok {
		key := ruleCaller{rule, caller}
		bucket, ok := l.callers.Load(key)
		if !ok {
			bucket, _ = l.callers.LoadOrStore(key, rate.NewLimiter(rate.Limit(limit.Rate), limit.Burst))
		}
		own = bucket.(*rate.Limiter).ReserveN(now, 1)
		if wait := own.DelayFrom(now); wait > 0 {
			own.CancelAt(now)
			return limited("rule "+rule+" allows "+caller, limit, wait)
		}
	}
	if l.upstream == nil {
		return nil
	}
	all := l.upstream.ReserveN(now, 1)
	if wait := all.DelayFrom(now); wait > 0 {
		all.CancelAt(now)
		if own != nil {
			own.CancelAt(now)
		}
		return limited("the upstream may be asked", Limit{float64(l.upstream.Limit()), l.upstream.Burst()}, wait)
	}
	return nil
}

func limited(what string, limit Limit, wait time.Duration) *refusal {
	r := refuse(ReasonLimit, what+" "+strconv.FormatFloat(limit.Rate, 'g', 4, 64)+
		" requests a second and "+strconv.Itoa(limit.Burst)+" at once; send fewer, or raise the limit")
	r.retryAfter = max(1, int(math.Ceil(wait.Seconds())))
	return r
}
