// Package zitadel asks a ZITADEL instance the few questions that zproxy has on
// its own behalf: who a service user is, what it may do, what the server offers.
// With an administrator's token it also creates service users and their keys.
package zitadel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// timeout bounds one question.
	timeout = 10 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 4 << 20
)

// Client asks one instance. It is safe for concurrent use.
type Client struct {
	at   url.URL // scheme and host to connect to
	host string  // the instance's, whatever the address
	http *http.Client
}

// New makes a client of the instance issuer, reached at address, or at issuer
// if address is nil, through transport. Redirects are never followed.
func New(issuer, address *url.URL, transport http.RoundTripper) *Client {
	if address == nil {
		address = issuer
	}
	return &Client{
		at: url.URL{Scheme: address.Scheme, Host: address.Host}, host: issuer.Host,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// StatusError is an answer other than 200.
type StatusError struct {
	Path    string
	Status  int
	Message string // ZITADEL's, "" where there is none
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("asking zitadel for %s: it answers HTTP %d", e.Path, e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// ask sends a request and decodes the answer's JSON. authorization is the value
// of the header, nil for none; a body of nil makes it a GET.
func (c *Client) ask(ctx context.Context, path string, authorization []string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	method, content := http.MethodGet, io.Reader(nil)
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("asking zitadel for %s: %w", path, err)
		}
		method, content = http.MethodPost, bytes.NewReader(text)
	}
	target := c.at
	target.Path = path
	r, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return fmt.Errorf("asking zitadel for %s: %w", path, err)
	}
	r.Host = c.host
	r.Header.Set("User-Agent", "zproxy")
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("asking zitadel for %s: %w", path, withoutURL(err))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("asking zitadel for %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		return &StatusError{Path: path, Status: res.StatusCode, Message: message(text)}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading zitadel's answer to %s: %w; is upstream.address really ZITADEL?", path, err)
	}
	return nil
}

// withoutURL takes off the method and URL that [url.Error] repeats.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// message is what ZITADEL's error JSON says, "" where it is none.
func message(text []byte) string {
	var e struct{ Message string }
	if json.Unmarshal(text, &e) != nil || len(e.Message) > 300 {
		return ""
	}
	return e.Message
}
