package workload_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/workload"
)

func TestFilesOfKeysAreReadAgainAndServeForADay(t *testing.T) {
	dir := t.TempDir()
	var ahead atomic.Int64
	config := workload.Config{
		Name: "cluster", Issuer: cluster, Audience: audience, JWKSFile: write(t, dir+"/jwks.json", jwks("p256")),
		Every: 10 * time.Millisecond, Pause: time.Millisecond, Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}
	i, _ := run(t, config)
	c := callers(t, i)
	of := func(kid string) error {
		_, err := c.Verify(token(map[string]string{"p256": "ES256", "ed": "EdDSA"}[kid], kid, header(map[string]string{"p256": "ES256", "ed": "EdDSA"}[kid], kid),
			claims(map[string]any{"iat": nil, "nbf": nil, "exp": config.Clock().Add(time.Hour).Unix()})))
		return err
	}
	check(t, of("p256"))
	write(t, config.JWKSFile, jwks("ed"))
	until(t, "the new key", func() bool { return of("ed") == nil })
	if reason(t, of("p256")) != workload.ReasonKeyUnknown {
		t.Error("the old key serves on")
	}
	write(t, config.JWKSFile, "{")
	until(t, "a fault", func() bool { return i.Status().Err != nil })
	check(t, of("ed"))
	check(t, os.Remove(config.JWKSFile))
	until(t, "another fault", func() bool { return strings.Contains(i.Status().Err.Error(), "no such file") })
	ahead.Store(int64(23 * time.Hour))
	check(t, of("ed"))
	ahead.Store(int64(25 * time.Hour))
	if reason(t, of("ed")) != authn.ReasonKeysUnavailable || i.Status().Ready {
		t.Errorf("keys serve after a day: %+v", i.Status())
	}
	write(t, config.JWKSFile, jwks("ed"))
	until(t, "the key again", func() bool { return of("ed") == nil })
	ahead.Store(int64(-48 * time.Hour)) // the clock is set back
	write(t, config.JWKSFile, jwks("p256"))
	until(t, "the key by the new clock", func() bool { return of("p256") == nil })
}

// Tokens are shown again and again, and each time judged by the clock and the keys of then.
func TestATokenThatWasGoodEndsWithItsTimeAndItsKey(t *testing.T) {
	var ahead atomic.Int64
	began := time.Now()
	keys := filepath.Join(t.TempDir(), "jwks")
	write(t, keys, jwks("rsa", "p256"))
	i, _ := run(t, workload.Config{
		Name: "cluster", Issuer: cluster, Audience: audience, JWKSFile: keys, Every: 10 * time.Millisecond,
		Clock: func() time.Time { return moment().Add(time.Since(began) + time.Duration(ahead.Load())) },
	})
	c := callers(t, i)
	ended, revoked := good("p256"), good("rsa")
	for range 3 {
		for _, token := range []string{ended, revoked} {
			if caller, err := c.Verify(token); err != nil || caller.String() != crm {
				t.Errorf("%s, %v", caller, err)
			}
		}
	}
	if _, err := c.Verify(ended[:len(ended)-4] + "AAAA"); reason(t, err) != workload.ReasonSignature {
		t.Errorf("a token that begins alike: %v", err)
	}
	ahead.Store(int64(time.Hour))
	if _, err := c.Verify(ended); reason(t, err) != workload.ReasonExpired {
		t.Error(err)
	}
	ahead.Store(int64(-time.Hour))
	if _, err := c.Verify(ended); reason(t, err) != workload.ReasonNotYetValid {
		t.Error(err)
	}
	ahead.Store(0)
	write(t, keys, jwks("p256"))
	until(t, "the key is gone", func() bool { return i.Status().Keys == 1 })
	if caller, err := c.Verify(revoked); reason(t, err) != workload.ReasonKeyUnknown || !caller.IsZero() {
		t.Errorf("%s, %v", caller, err)
	}
	if _, err := c.Verify(ended); err != nil {
		t.Error(err)
	}
}
