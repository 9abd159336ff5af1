package acme_test

import (
	"testing"
	"time"
)

func TestAListenerThatDemandsClientCertificatesGetsItsOwn(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	m := mustNew(t, e.config(a))
	e.serve(m)
	started := time.Now()
	run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	t.Logf("obtained after %v", time.Since(started).Round(time.Millisecond))
	chain, err := e.get(a.roots(0), host)
	check(t, err)
	if err := chain[0].VerifyHostname(host); err != nil {
		t.Error(err)
	}
}
