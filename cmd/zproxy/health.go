package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	healthTimeout = 2 * time.Second        // for one answer
	healthPause   = 250 * time.Millisecond // between two questions
	healthBody    = 4 << 10                // as much of an answer as is shown
)

func newHealth() *cobra.Command {
	var p probe
	c := &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask whether zproxy is ready",
		Long: `Ask the admin listener whether requests can be served: for the health check of a
container, which has no other program to ask with. Any other http or https URL
will do as well, so that one container can wait for another.

Exit codes: 0 it answered with a status of 2xx; 1 it did not.`,
		Example: `  zproxy health
  zproxy health --wait 30s http://127.0.0.1:9090/livez
  zproxy health --wait 5m --host id.example.com http://zitadel:8080/management/v1/healthz`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArgs(c, args[1:])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				p.url = args[0]
			}
			return p.run(c.Context(), c.OutOrStdout())
		},
	}
	p.url = "http://127.0.0.1:9090/readyz"
	c.Flags().StringVar(&p.host, "host", "", "the `name` to ask for, if not the URL's")
	c.Flags().DurationVar(&p.wait, "wait", 0, "ask until it is ready, at most so long")
	return c
}

// probe asks one URL how things are.
type probe struct {
	url, host string
	wait      time.Duration
}

// run asks until the answer is good, or for p.wait.
func (p *probe) run(ctx context.Context, out io.Writer) error {
	u, err := url.Parse(p.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usage("write it like http://127.0.0.1:9090/readyz", "%q is no http or https URL", p.url)
	}
	// No proxy of the environment and no redirect: the answer is that server's own.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       healthTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	waiting, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	for {
		err := p.ask(ctx, client)
		if err == nil {
			_, err = fmt.Fprintln(out, "ready")
			return err
		}
		select {
		case <-waiting.Done():
			return &failure{exitFailed, "", err}
		case <-time.After(healthPause):
		}
	}
}

// ask is nil if the answer's status is 2xx.
func (p *probe) ask(ctx context.Context, client *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", p.url, err)
	}
	r.Host = p.host
	res, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("asking how things are: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, healthBody))
	if res.StatusCode/100 == 2 {
		return nil
	}
	if err != nil {
		body = nil
	}
	return fmt.Errorf("%s answers %s: %s", p.url, res.Status, strings.TrimSpace(string(body)))
}
