package soak_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// recovery is how long after ZITADEL's restart calls may still be unavailable.
const recovery = 8 * time.Second

// load are callers of a gateway, and what became of their calls.
type load struct {
	url, user string
	clients   [2]*http.Client // HTTP/1.1 and h2c

	back atomic.Int64 // when ZITADEL came back last, in Unix nanoseconds; 0 while it is away
	late atomic.Int64 // the longest after that that a call was unavailable, in nanoseconds

	done, unavailable, abandoned, early atomic.Int64

	mu       sync.Mutex
	failed   []string // the first of them
	failures int
}

func newLoad(url, user string) *load {
	l := &load{url: url, user: user}
	l.back.Store(1)
	for i := range l.clients {
		tr := &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 64}
		tr.Protocols.SetHTTP1(i == 0)
		tr.Protocols.SetUnencryptedHTTP2(i == 1)
		l.clients[i] = &http.Client{Transport: tr, Timeout: 30 * time.Second}
	}
	return l
}

// run calls rate times a second until ctx ends, and waits for the last answers.
func (l *load) run(ctx context.Context, rate int) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var calls sync.WaitGroup
	room := make(chan struct{}, 4*rate)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			calls.Wait()
			return
		case <-tick.C:
		}
		select {
		case room <- struct{}{}:
			calls.Go(func() { l.call(n); <-room })
		default: // as many calls hang as there are in four seconds: one of them will fail
		}
	}
}

// call makes one of the kinds of calls.
func (l *load) call(n int) {
	client := l.clients[n/6%2]
	switch n % 6 {
	case 0:
		l.expect(client, http.MethodGet, "/v2/users/"+l.user, nil)
	case 1, 2:
		l.expect(client, http.MethodPost, "/v2/users", strings.NewReader("{}"))
	case 3:
		l.expect(client, http.MethodPost, "/zitadel.user.v2.UserService/GetUserByID", strings.NewReader(`{"userId":"`+l.user+`"}`))
	case 4:
		l.abandon(client)
	case 5:
		l.endEarly(client, n/6%2 == 1)
	}
}

// expect makes a call that must succeed, unless ZITADEL was away meanwhile.
func (l *load) expect(client *http.Client, method, path string, body io.Reader) {
	r, err := http.NewRequest(method, l.url+path, body)
	if err != nil {
		l.fail(err.Error())
		return
	}
	r.Header.Set("Content-Type", "application/json")
	l.judge(client, r, &l.done, func(res *http.Response) bool { return res.StatusCode == http.StatusOK })
}

// streams is more of a body than zproxy reads before it forwards the request.
const streams = 80 << 10

// endEarly makes a call whose body has no end: over HTTP/2 ZITADEL answers it
// before, because of an encoding that it has not got, and over HTTP/1.1 zproxy does.
func (l *load) endEarly(client *http.Client, http2 bool) {
	body, more := io.Pipe()
	defer more.Close()
	go func() { _, _ = more.Write(make([]byte, streams)) }()
	path, contentType := "/v2/users/human", "application/json"
	right := func(res *http.Response) bool { return res.StatusCode == http.StatusForbidden }
	if http2 {
		path, contentType = "/zitadel.settings.v2.SettingsService/GetGeneralSettings", "application/grpc"
		right = func(res *http.Response) bool {
			return res.StatusCode == http.StatusOK && (res.Header.Get("Grpc-Status") == "12" || res.Trailer.Get("Grpc-Status") == "12")
		}
	}
	r, err := http.NewRequest(http.MethodPost, l.url+path, body)
	if err != nil {
		l.fail(err.Error())
		return
	}
	r.Header.Set("Content-Type", contentType)
	if http2 {
		r.Header.Set("Te", "trailers")
		r.Header.Set("Grpc-Encoding", "none-such")
	}
	l.judge(client, r, &l.early, right)
}

// judge makes a call that must have the right answer, and counts it, unless
// ZITADEL was away meanwhile.
func (l *load) judge(client *http.Client, r *http.Request, count *atomic.Int64, right func(*http.Response) bool) {
	begin := time.Now()
	res, err := client.Do(r)
	if err != nil {
		l.fail(fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err))
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err == nil && right(res):
		count.Add(1)
	case l.wasAway(begin) && (err != nil || ofUnavailable(res)):
		l.unavailable.Add(1)
	default:
		l.fail(fmt.Sprintf("%s %s: %s %.200s %v %v", r.Method, r.URL.Path, res.Status, text, res.Header, err))
	}
}

// ofUnavailable tells zproxy's own answers while ZITADEL is away.
func ofUnavailable(res *http.Response) bool {
	return res.Header.Get("Proxy-Status") != "" && (res.StatusCode >= 502 && res.StatusCode <= 504 || res.Header.Get("Grpc-Status") == "14")
}

// wasAway tells whether a call that began then may have been unavailable.
func (l *load) wasAway(begin time.Time) bool {
	back := l.back.Load()
	if back == 0 {
		return true
	}
	after := begin.UnixNano() - back
	if after >= int64(recovery) {
		return false
	}
	for late := l.late.Load(); after > late && !l.late.CompareAndSwap(late, after); late = l.late.Load() {
	}
	return true
}

// abandon begins a call and goes away in the middle of its body.
func (l *load) abandon(client *http.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	body, more := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/v2/users", body)
	if err != nil {
		cancel()
		l.fail(err.Error())
		return
	}
	r.Header.Set("Content-Type", "application/json")
	go func() {
		_, _ = more.Write([]byte(`{"query":`))
		cancel()
		more.CloseWithError(errors.New("the caller went away"))
	}()
	res, err := client.Do(r)
	if err == nil {
		res.Body.Close()
	}
	cancel()
	l.abandoned.Add(1)
}

func (l *load) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures++; len(l.failed) < 10 {
		l.failed = append(l.failed, what)
	}
}

// closeIdle ends the callers' connections.
func (l *load) closeIdle() {
	for _, c := range l.clients {
		c.CloseIdleConnections()
	}
}
