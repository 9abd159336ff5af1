package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

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
