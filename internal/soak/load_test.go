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

	disturbed atomic.Int64 // Unix nanoseconds until which calls may be unavailable

	done, unavailable, abandoned atomic.Int64
	mu                           sync.Mutex
	failed                       []string // the first of them
	failures                     int
}

func newLoad(url, user string) *load {
	l := &load{url: url, user: user}
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
	client := l.clients[n/5%2]
	switch n % 5 {
	case 0:
		l.expect(client, http.MethodGet, "/v2/users/"+l.user, nil)
	case 1, 2:
		l.expect(client, http.MethodPost, "/v2/users", strings.NewReader("{}"))
	case 3:
		l.expect(client, http.MethodPost, "/zitadel.user.v2.UserService/GetUserByID", strings.NewReader(`{"userId":"`+l.user+`"}`))
	case 4:
		l.abandon(client)
	}
}

// expect makes a call that must succeed, unless ZITADEL was away meanwhile.
func (l *load) expect(client *http.Client, method, path string, body io.Reader) {
	begin := time.Now()
	r, err := http.NewRequest(method, l.url+path, body)
	if err != nil {
		l.fail(err.Error())
		return
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		l.fail(fmt.Sprintf("%s %s: %v", method, path, err))
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	ours := res.Header.Get("Proxy-Status") != ""
	switch {
	case err == nil && res.StatusCode == http.StatusOK:
		l.done.Add(1)
	case begin.UnixNano() < l.disturbed.Load() && (err != nil || ours && res.StatusCode >= 502 && res.StatusCode <= 504):
		l.unavailable.Add(1)
	default:
		l.fail(fmt.Sprintf("%s %s: %s %.200s %v", method, path, res.Status, text, err))
	}
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
