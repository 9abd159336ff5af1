package acme

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	// attemptLimit ends an order that an authority leaves pending.
	attemptLimit = 2 * time.Minute
	// maxSleep is how often the clock is read: timers stand still while a
	// machine sleeps, and certificates age.
	maxSleep = time.Minute
	// cacheInterval is between two looks of certmagic at its empty cache.
	cacheInterval = time.Minute
	// writeLimit is ample for the three files of a certificate.
	writeLimit = time.Second
)

// Run obtains the certificates that are missing and renews those that have a
// third of their lifetime left, or earlier if the authority advises so (RFC
// 9773), until ctx ends; then it returns nil, and nothing that it started is
// left, unless the authority takes more than a second to accept a connection:
// that attempt ends by its own limits, within a minute. The listener should
// accept before Run, since the authority connects to it. A second Run at the
// same time is an error.
//
// While the authority cannot be reached, it is asked again after 1 to 20 s;
// while it refuses, after 1 to 15 minutes, since refusals count against the
// limits of public authorities.
func (m *Manager) Run(ctx context.Context) error {
	if !m.running.CompareAndSwap(false, true) {
		return errors.New("running acme: it runs already")
	}
	defer m.running.Store(false)
	port, release, err := holdPort()
	if err != nil {
		return fmt.Errorf("running acme: %w", err)
	}
	defer release()
	var e engine
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return e.config, nil },
		RenewCheckInterval: cacheInterval,
		Logger:             zap.NewNop(),
	})
	defer cache.Stop()
	e = m.newEngine(cache, port)
	m.answers.Store(quiet(cache, e.config))
	defer m.answers.Store(nil)
	var wg sync.WaitGroup
	for _, h := range m.hosts {
		h.forget()
		wg.Go(func() { m.tend(ctx, e, h) })
	}
	wg.Wait()
	return nil
}

// quiet is config without a log: anyone can make handshakes, and the listener
// tells of those that fail.
func quiet(cache *certmagic.Cache, config *certmagic.Config) *certmagic.Config {
	silent := *config
	silent.Logger = zap.NewNop()
	return certmagic.New(cache, silent)
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// tend keeps one host's certificate until ctx ends.
func (m *Manager) tend(ctx context.Context, e engine, h *host) {
	slow, wait := patient(ctx)
	defer wait()
	for ctx.Err() == nil {
		sleep(ctx, m.step(slow, e, h))
	}
}

// step makes an attempt if one is due, and returns how long to wait for the next.
func (m *Manager) step(ctx context.Context, e engine, h *host) time.Duration {
	if due(h) > 0 {
		m.advise(ctx, e, h)
	}
	if wait := due(h); wait > 0 {
		return min(wait, maxSleep)
	}
	before := h.cert.Load()
	err := m.attempt(ctx, e.config, h)
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		failures := h.fail(err)
		wait := pause(failures, refused(err), left(h))
		m.log.Error().Err(err).Str("host", h.name).Int("failures", failures).Dur("retry_in", wait).
			Msg("the certificate could not be obtained")
		return wait
	}
	h.succeed()
	if now := h.cert.Load(); now != before {
		m.log.Info().Str("host", h.name).Time("not_after", now.Leaf.NotAfter).Msg("a new certificate is served")
	}
	return 0
}

// left is how long the certificate of h is valid; not positive without one.
func left(h *host) time.Duration {
	c := h.cert.Load()
	if c == nil {
		return 0
	}
	return time.Until(c.Leaf.NotAfter)
}

// due is how long the certificate of h needs no renewal; not positive when it
// is time, or there is none.
func due(h *host) time.Duration {
	c := h.cert.Load()
	if c == nil {
		return 0
	}
	return time.Until(h.renewAt(c))
}

// attempt obtains or renews the certificate of h once. What the storage has by
// then, from another process that shares it, comes first.
func (m *Manager) attempt(ctx context.Context, config *certmagic.Config, h *host) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	stored, err := m.load(h)
	unusable := errors.Is(err, errUnusable)
	if unusable { // or half written by another process, at this moment
		sleep(ctx, writeLimit)
		stored, err = m.load(h)
		unusable = errors.Is(err, errUnusable)
	}
	switch {
	case err != nil && !unusable:
		return err
	case stored && due(h) > 0:
		return nil
	case stored || unusable:
		// Only force renews what certmagic's own calendar keeps, or cannot read.
		force := unusable || time.Now().Before(renewAt(h.cert.Load()))
		err = config.RenewCertSync(ctx, h.name, force)
	default:
		err = config.ObtainCertSync(ctx, h.name)
	}
	if err != nil {
		return fmt.Errorf("asking %s: %w", m.directory, err)
	}
	if _, err := m.load(h); err != nil {
		return err
	}
	if due(h) <= 0 {
		return fmt.Errorf("asking %s: the new certificate of %s is due for renewal already; compare the clocks", m.directory, h.name)
	}
	return nil
}
