package proxy_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/proxy"
)

// judging is a gateway that judges its first request until release is closed.
type judging struct {
	*gateway
	asked   atomic.Int64 // how often what time it is
	first   chan struct{}
	release chan struct{}
}

func startJudging(t *testing.T) *judging {
	j := &judging{first: make(chan struct{}), release: make(chan struct{})}
	j.gateway = newGateway(t, new(counted), options{
		rules: []policy.Rule{
			{Name: "judged", Callers: []string{"anonymous:test"}, Operations: []string{userList}, When: "size(request.queries) == 0", As: "reader"},
			{Name: "searched", Callers: []string{"anonymous:test"}, Operations: []string{userLock}, As: "reader"},
		},
		config: func(c *proxy.Config) {
			c.Clock = func() time.Time {
				if j.asked.Add(1) == 2 { // asked when it began, and when it is decided on
					close(j.first)
					<-j.release
				}
				return time.Now()
			}
		},
	})
	return j
}

// send returns the status, 0 for none.
func (j *judging) send(ctx context.Context, operation string, size int) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, j.url+"/"+operation, strings.NewReader("{}"+strings.Repeat(" ", size)))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// Large bodies of one caller are judged, or searched for our own users, one after
// the other; small ones pass them.
func TestLargeBodiesOfACallerTakeTurns(t *testing.T) {
	for _, second := range []string{userList, userLock} {
		t.Run(second, func(t *testing.T) { takeTurns(t, second) })
	}
}

func takeTurns(t *testing.T, second string) {
	j := startJudging(t)
	status := make(chan int, 3)
	large := func(operation string) { status <- j.send(t.Context(), operation, 20<<10) }
	go large(userList)
	<-j.first
	go large(second)
	for j.asked.Load() < 3 { // the second has begun
		time.Sleep(time.Millisecond)
	}
	if got := j.send(t.Context(), userList, 10); got != http.StatusOK {
		t.Errorf("a small one is answered %d", got)
	}
	select {
	case got := <-status:
		status <- got
		t.Errorf("a large one is answered %d while another is being judged", got)
	case <-time.After(50 * time.Millisecond):
	}
	close(j.release)
	for range 2 {
		if got := <-status; got != http.StatusOK {
			t.Errorf("a large one is answered %d", got)
		}
	}
}

func TestALargeBodyWhoseCallerLeavesIsNotJudged(t *testing.T) {
	j := startJudging(t)
	ended := make(chan struct{})
	go func() { defer close(ended); j.send(t.Context(), userList, 20<<10) }()
	<-j.first
	told := func() bool { return strings.Contains(j.log.String(), `"reason":"busy"`) }
	for wait := time.Millisecond; wait < 10*time.Second && !told(); wait *= 2 { // it may leave before its body is there
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		if got := j.send(ctx, userList, 20<<10); got != 0 {
			t.Errorf("it is answered %d", got)
		}
		cancel()
	}
	if !told() {
		t.Error(j.log.String())
	}
	close(j.release)
	<-ended
}
