package proxy_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/proxy"
)

func TestCallersDeadlineIsKeptInEachProtocol(t *testing.T) {
	at := serveUpstream(t, hanging(t))
	g := newGatewayAt(t, at, options{})
	start := time.Now()
	inEach(t, g, http.Header{"Grpc-Timeout": {"50m"}}, "4", "deadline_exceeded")
	inEach(t, g, http.Header{"Connect-Timeout-Ms": {"50"}}, "4", "deadline_exceeded")
	if d := time.Since(start); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
	for _, r := range outcomes(g.records(t, 16)) {
		if r.Reason != "deadline_exceeded" || r.Attempts > 1 || r.Effect != "allow" {
			t.Errorf("record %+v", r)
		}
	}
}

func TestADeadlineThatHasPassedSendsNothing(t *testing.T) {
	up := new(counted)
	g := newGateway(t, up, options{})
	inEach(t, g, http.Header{"Grpc-Timeout": {"0n"}}, "4", "deadline_exceeded")
	if n := up.n.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// ZITADEL reads what zproxy would not: it would end the call, and its answer
// would count as a failure of its own.
func TestATimeThatCannotBeReadIsRefused(t *testing.T) {
	up := new(counted)
	g := newGateway(t, up, options{})
	for _, h := range []http.Header{{"Grpc-Timeout": {"+1m"}}, {"Grpc-Timeout": {"-1S"}}, {"Grpc-Timeout": {""}}, {"Connect-Timeout-Ms": {"+1"}}, {"Grpc-Timeout": {"9S"}, "Connect-Timeout-Ms": {"1e3"}}} {
		r, err := http.NewRequest(http.MethodGet, g.url+"/v2/users/1", nil)
		check(t, err)
		r.Header = h
		res, err := client(t, 1).Do(r)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: status %d", h, res.StatusCode)
		}
	}
	if n := up.n.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestTheShorterOfTwoTimesCounts(t *testing.T) {
	at := serveUpstream(t, hanging(t))
	g := newGatewayAt(t, at, options{})
	inEach(t, g, http.Header{"Grpc-Timeout": {"9S"}, "Connect-Timeout-Ms": {"50"}}, "4", "deadline_exceeded")
}

// Most clients give their calls a time: an answer that comes long before its end
// tells of ZITADEL all the same.
func TestAnswersLongBeforeTheDeadlineOpenTheCircuit(t *testing.T) {
	var n atomic.Int64
	g, ahead := gatewayAhead(t, unavailable(t, &n), func(*proxy.UpstreamConfig) {})
	for range 5 {
		r, err := http.NewRequest(http.MethodGet, g.url+"/v2/users/1", nil)
		check(t, err)
		r.Header.Set("Grpc-Timeout", "1M")
		res, err := client(t, 1).Do(r)
		check(t, err)
		res.Body.Close()
	}
	ahead.Store(0) // no time for a probe, for a minute
	res, err := client(t, 1).Get(g.url + "/v2/users/1")
	check(t, err)
	res.Body.Close()
	if details := res.Header.Get("Proxy-Status"); !strings.Contains(details, "upstream_circuit") {
		t.Errorf("Proxy-Status %q", details)
	}
}

func TestCallersDeadlineIsCutToTheLongest(t *testing.T) {
	at := serveUpstream(t, hanging(t))
	g := newGatewayAt(t, at, upstreamAt(t, at, func(c *proxy.UpstreamConfig) { c.Timeouts.Deadline = 50 * time.Millisecond }))
	inEach(t, g, http.Header{"Grpc-Timeout": {"99999999H"}}, "4", "deadline_exceeded")
}
