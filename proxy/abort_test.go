package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/proxy"
)

func TestAnswerThatBreaksOffIsRecordedAsSuch(t *testing.T) {
	g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "only this")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}), options{})
	res, err := client(t, 1).Get(g.url + "/v2/users/1")
	if err == nil {
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("the caller takes the answer for whole")
		}
		res.Body.Close()
	}
	if r := g.records(t, 1)[0]; r.Reason != "aborted" || r.Effect != "allow" || r.Status != 200 {
		t.Errorf("record %+v", r)
	}
}

// brokenRecorder panics where a fault of zproxy's own could.
type brokenRecorder struct{ proxy.Recorder }

func (b brokenRecorder) Write(r *audit.Record) error {
	if r.Kind == audit.Intent {
		panic("a fault")
	}
	return b.Recorder.Write(r)
}

func TestFaultOfOurOwnIsAnsweredAndRecorded(t *testing.T) {
	up := new(counted)
	g := newGateway(t, up, options{config: func(c *proxy.Config) { c.Audit = brokenRecorder{c.Audit} }})
	res, err := client(t, 1).Post(g.url+"/v2/users/1/lock", "application/json", strings.NewReader("{}"))
	if err == nil { // net/http may cut the answer off with the connection
		res.Body.Close()
		if res.StatusCode != 500 {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	if r := g.records(t, 1)[0]; r.Reason != "internal_error" || r.Status != 500 || up.n.Load() != 0 {
		t.Errorf("record %+v, %d upstream", r, up.n.Load())
	}
}

func TestGRPCStreamThatBreaksOffEndsWithAStatus(t *testing.T) {
	for _, c := range []struct{ timeout, status, reason string }{
		{"", "14", "upstream_broke"}, {"2S", "4", "deadline_exceeded"}, {"1H", "14", "upstream_broke"},
	} {
		g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_, _ = w.Write(framed(0, []byte("first")))
			_ = http.NewResponseController(w).Flush()
			if c.status == "4" {
				<-r.Context().Done() // zproxy calls it off at the deadline
			}
			time.Sleep(20 * time.Millisecond)
			panic(http.ErrAbortHandler)
		}), options{})
		r, err := http.NewRequest(http.MethodPost, g.url+"/"+unlisted+"Stream", strings.NewReader(string(framed(0, nil))))
		check(t, err)
		r.Header.Set("Content-Type", "application/grpc")
		if c.timeout != "" {
			r.Header.Set("Grpc-Timeout", c.timeout)
		}
		res, err := client(t, 2).Do(r)
		check(t, err)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(body) != string(framed(0, []byte("first"))) {
			t.Errorf("%+v: %q, %v", c, body, err)
		}
		if got := res.Trailer.Get("Grpc-Status"); got != c.status || !strings.Contains(res.Trailer.Get("Grpc-Message"), c.reason) {
			t.Errorf("%+v: trailer %v", c, res.Trailer)
		}
		if r := g.records(t, 2)[1]; r.Reason != c.reason || r.GRPCStatus != c.status {
			t.Errorf("%+v: record %+v", c, r)
		}
	}
}
