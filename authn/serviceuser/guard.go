package serviceuser

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAnswer bounds the token endpoint's answer; a real one is under 4 KiB.
	maxAnswer = 64 << 10
	// maxRetryAfter keeps a mistaken header from ending service for days.
	maxRetryAfter = 5 * time.Minute
)

// guard is the round tripper of one token request: it addresses the instance,
// and lets nothing of an answer through that the rest need not see.
type guard struct {
	endpoint  *endpoint
	shown     secret
	assertion bool

	status     int
	skew       time.Duration
	retryAfter time.Duration
	refused    *FetchError
}

// RoundTrip sends the request with the instance's Host and refuses redirects,
// answers that are too long, and successes that are not JSON.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = g.endpoint.host
	r.Header.Set("Accept", "application/json")
	resp, err := g.endpoint.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	g.note(resp)
	if refused := g.check(resp); refused != nil {
		_ = resp.Body.Close()
		return nil, refused
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, g.refuse(fmt.Sprintf("the token endpoint's answer is longer than %d KiB", maxAnswer>>10), "check that upstream.issuer and upstream.address lead to ZITADEL")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// note keeps what the header tells about time: the server's clock, and how long
// it wants to be left alone.
func (g *guard) note(resp *http.Response) {
	g.status = resp.StatusCode
	now := g.endpoint.clock()
	server := now
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// Date has whole seconds: its middle is the better guess.
		server = date.Add(500 * time.Millisecond)
		g.skew = server.Sub(now)
	}
	v := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		g.retryAfter = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		g.retryAfter = at.Sub(server)
	}
	g.retryAfter = min(max(g.retryAfter, 0), maxRetryAfter)
}

func (g *guard) check(resp *http.Response) *FetchError {
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		// Following would show the assertion or the secret to whoever the
		// answer names (CVE-2024-45336 is one of several accidents of it).
		return g.refuse(fmt.Sprintf("the token endpoint answered with a redirect (%d), which is never followed", resp.StatusCode),
			"set upstream.issuer to the instance's own origin, https if it wants https")
	case resp.StatusCode < 300 && resp.StatusCode != http.StatusOK:
		return g.refuse(fmt.Sprintf("the token endpoint answered with status %d instead of 200", resp.StatusCode), "")
	case resp.StatusCode == http.StatusOK && !isJSON(resp.Header):
		return g.refuse("the token endpoint's answer is not JSON", "check that upstream.issuer and upstream.address lead to ZITADEL and not to a web page")
	}
	return nil
}

func isJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// refuse makes the error of an answer that cannot be used and keeps it, because
// http.Client wraps what a round tripper returns.
func (g *guard) refuse(reason, advice string) *FetchError {
	g.refused = &FetchError{Reason: reason, Advice: advice, Status: g.status, RetryAfter: g.retryAfter, Skew: g.skew}
	return g.refused
}
