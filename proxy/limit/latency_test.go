package limit_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy/limit"
)

// slowest is how long all but one in a hundred requests of three callers took,
// each within its share, and how many of them were refused. The server behind the
// limits does one thing at a time and would be overrun by a caller at ten times
// its share, were it let through.
func slowest(t *testing.T, limits *limit.Limits, greedy bool) (time.Duration, int64) {
	worker := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		if limits != nil {
			if _, ok := limits.Take("", in.Header.Get("Caller"), time.Now()); !ok {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
		}
		worker <- struct{}{}
		time.Sleep(4 * time.Millisecond)
		<-worker
	}))
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	defer transport.CloseIdleConnections()

	const lasting, warm = 1500 * time.Millisecond, 300 * time.Millisecond
	begin := time.Now()
	var mu sync.Mutex
	var took []time.Duration
	var refused atomic.Int64
	var all sync.WaitGroup
	send := func(caller string) {
		in, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Error(err)
			return
		}
		in.Header.Set("Caller", caller)
		sent := time.Now()
		out, err := transport.RoundTrip(in)
		if err != nil {
			t.Error(err)
			return
		}
		if err := out.Body.Close(); err != nil {
			t.Error(err)
		}
		if caller == "greedy" || sent.Sub(begin) < warm {
			return
		}
		if out.StatusCode != http.StatusOK {
			refused.Add(1)
			return
		}
		mu.Lock()
		took = append(took, time.Since(sent))
		mu.Unlock()
	}
	every := func(caller string, pause time.Duration) {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for time.Since(begin) < lasting {
			<-tick.C
			all.Go(func() { send(caller) })
		}
	}
	for _, caller := range []string{"a", "b", "c"} {
		all.Go(func() { every(caller, 40*time.Millisecond) }) // 25/s
	}
	if greedy {
		all.Go(func() { every("greedy", time.Second/350) })
	}
	all.Wait()
	if len(took) == 0 {
		t.Fatal("no request of a caller within its share passed")
	}
	slices.Sort(took)
	return took[len(took)*99/100], refused.Load()
}

// Measured over sockets: what the others feel of a caller at ten times its share.
func TestAGreedyCallerDoesNotSlowTheOthers(t *testing.T) {
	most := limit.Limit{Rate: 140, Burst: 16} // four callers: 35/s each
	alone, refusedAlone := slowest(t, limit.New(&most, nil), false)
	beside, refused := slowest(t, limit.New(&most, nil), true)
	open, _ := slowest(t, nil, true)
	t.Logf("p99 %v without the greedy caller, %v beside it (%.2f times), %v with no limit", alone, beside, float64(beside)/float64(alone), open)
	if refused+refusedAlone > 0 {
		t.Errorf("%d and %d requests within the share are refused", refusedAlone, refused)
	}
	if beside > 4*alone {
		t.Errorf("p99 is %v beside a greedy caller, %v without", beside, alone)
	}
	if open < 2*beside {
		t.Errorf("p99 is %v with no limit, %v with: the test would not tell", open, beside)
	}
}
