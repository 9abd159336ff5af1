package gateway_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
)

const (
	streamed = "/zitadel.user.v2.UserService/FutureTail"
	kept     = "/zitadel.user.v2.UserService/FutureKeep"

	streamRules = `rules:
  - {name: tail, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/FutureTail], as: any}
  - {name: keep, callers: ["anonymous:local"], operations: [zitadel.user.v2.UserService/FutureKeep], as: any}
`
	streamRest = `unlisted_operations: [zitadel.user.v2.UserService/FutureTail, zitadel.user.v2.UserService/FutureKeep]
service_users: [{name: any, personal_access_token: {token_file: "$DIR/token", user_id: "287345091734099999"}}]
audit: {file: "$DIR/audit.jsonl"}
limits: {drain: 400ms}
`
)

// endless answers with one message and no end.
func endless(t *testing.T) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != streamed && r.URL.Path != kept {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, 1})
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// tail opens a stream and reads its first message.
func tail(t *testing.T, l *live, path, contentType string) *http.Response {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	in, err := http.NewRequest(http.MethodPost, "http://"+l.Address("local").String()+path, bytes.NewReader(make([]byte, 5)))
	check(t, err)
	in.Header.Set("Content-Type", contentType)
	in.Header.Set("TE", "trailers")
	res, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(in)
	check(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	first := make([]byte, 7)
	if _, err := io.ReadFull(res.Body, first); err != nil || first[6] != 1 {
		t.Fatalf("%s: %d %v %x %v", contentType, res.StatusCode, res.Header, first, err)
	}
	return res
}

// said is what a stream says at its end, in its protocol.
func said(t *testing.T, res *http.Response) string {
	t.Helper()
	rest, err := io.ReadAll(res.Body)
	check(t, err)
	if res.Header.Get("Content-Type") == "application/grpc" {
		return "grpc-status: " + res.Trailer.Get("Grpc-Status") + " " + res.Trailer.Get("Grpc-Message")
	}
	if len(rest) < 5 || int(binary.BigEndian.Uint32(rest[1:])) != len(rest)-5 {
		t.Fatalf("no last frame in %q", rest)
	}
	return string(rest[5:])
}

func startStreams(t *testing.T) (*live, string) {
	t.Helper()
	upstream := "upstream: {issuer: \"" + endless(t).URL + "\"}\n"
	l := goLiveFrom(t, map[string]string{"token": "token"}, upstream, liveListeners, streamRules, streamRest)
	return l, upstream
}

// reasons are those of the outcome records, once there are so many.
func (l *live) reasons(t *testing.T, n int) (all []string) {
	t.Helper()
	eventually(t, "the outcome records", func() bool {
		all = nil
		for _, r := range records(t, filepath.Join(l.dir, "audit.jsonl")) {
			if r.Kind == audit.Outcome {
				all = append(all, r.Reason)
			}
		}
		return len(all) >= n
	})
	return all
}

// A stream whose caller lost its rule ends, with a status in its own protocol;
// one whose rule only has another name goes on.
func TestStreamsEndWithTheirRule(t *testing.T) {
	l, upstream := startStreams(t)
	var open []*http.Response
	for _, contentType := range []string{"application/grpc", "application/grpc-web+proto", "application/connect+proto"} {
		open = append(open, tail(t, l, streamed, contentType))
	}
	tail(t, l, kept, "application/grpc")
	rules := strings.Replace(strings.Replace(streamRules, "anonymous:local", "anonymous:other", 1), "name: keep", "name: renamed", 1)
	l.configure(t, upstream, liveListeners, rules, streamRest)
	check(t, l.Reload())
	for i, want := range []string{"grpc-status: 7 no rule allows anonymous:local any more", "grpc-status: 7\r\ngrpc-message: no rule allows anonymous:local any more", `"code":"permission_denied"`} {
		if got := said(t, open[i]); !strings.Contains(got, want) || !strings.Contains(got, "rule_lost") {
			t.Errorf("it ends with %q, want %q", got, want)
		}
	}
	all := l.reasons(t, 3)
	if len(all) != 3 {
		t.Errorf("%d streams have ended, and one of four keeps its rule", len(all))
	}
	for _, reason := range all {
		if reason != "rule_lost" {
			t.Errorf("a record has the reason %s", reason)
		}
	}
}

// Streams that are not over at the end are told so.
func TestStreamsAreToldOfTheEnd(t *testing.T) {
	l, _ := startStreams(t)
	open := tail(t, l, streamed, "application/grpc")
	ended := make(chan error, 1)
	go func() { ended <- l.end() }()
	if got := said(t, open); !strings.Contains(got, "grpc-status: 14 zproxy ends") {
		t.Errorf("it ends with %q", got)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("the end says %v", err)
	}
	if all := l.reasons(t, 1); all[0] != "ending" {
		t.Errorf("the record says %s", all[0])
	}
}

// What ends by a removed listener ends by its own reason, too.
func TestStreamsEndWithTheirListener(t *testing.T) {
	l, upstream := startStreams(t)
	open := tail(t, l, streamed, "application/grpc")
	l.configure(t, upstream, strings.Replace(liveListeners, "name: local", "name: another", 1), streamRules, strings.Replace(streamRest, "drain: 400ms", "drain: 30s", 1))
	check(t, l.Reload())
	if got := said(t, open); !strings.Contains(got, "rule_lost") {
		t.Errorf("it ends with %q", got)
	}
}
