package acme_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/acme"
)

func TestWithoutCertificateHandshakesFailAndSayWhy(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	a.down()
	m := mustNew(t, e.config(a))
	e.serve(m)
	if s := m.Status()[0]; s.Host != host || s.Ready(time.Now()) || s.Err != nil || !s.NotAfter.IsZero() {
		t.Errorf("before Run: %+v", s)
	}
	run(t, m)
	until(t, "the failure is known", 20*time.Second, func() bool { return m.Status()[0].Err != nil })
	s := m.Status()[0]
	if s.Ready(time.Now()) || s.Failures == 0 || !strings.Contains(s.Err.Error(), a.address) || !strings.Contains(s.Err.Error(), "connection refused") {
		t.Errorf("the status is %+v", s)
	}
	if _, err := e.get(a.roots(0), host); err == nil {
		t.Error("a handshake without certificate succeeded")
	}
	until(t, "the log names the cause", 5*time.Second, func() bool {
		return strings.Contains(e.log.String(), acme.ErrNoCertificate.Error()+": "+host)
	})

	// It comes back.
	a.up()
	back := time.Now()
	until(t, "a certificate after the authority is back", 25*time.Second, ready(m))
	t.Logf("obtained %v after the authority came back", time.Since(back).Round(time.Millisecond))
	if s := m.Status()[0]; s.Err != nil || s.Failures != 0 {
		t.Errorf("after it: %+v", s)
	}
	_, err := e.get(a.roots(0), host)
	check(t, err)
}

func TestARestartServesWhatWasObtainedWithTheAuthorityDown(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	c := e.config(a)
	first := mustNew(t, c)
	second := newEdge(t) // the socket of the restarted process
	e.serve(first)
	stop := run(t, first)
	until(t, "a certificate", 30*time.Second, ready(first))
	chain, err := e.get(a.roots(0), host)
	check(t, err)
	stop()
	a.down()

	m := mustNew(t, c)
	second.serve(m)
	again, err := second.get(a.roots(0), host)
	check(t, err)
	if !again[0].Equal(chain[0]) {
		t.Error("another certificate is served")
	}
	run(t, m)
	time.Sleep(300 * time.Millisecond)
	if s := m.Status()[0]; s.Err != nil || !s.Ready(time.Now()) || !s.RenewAt.Before(s.NotAfter) || !s.RenewAt.After(time.Now()) {
		t.Errorf("the authority was asked without need: %+v", s)
	}
}

func TestARefusedHostIsNotAskedForEverySecond(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{refuse: []string{host}})
	m := mustNew(t, e.config(a))
	e.serve(m)
	run(t, m)
	until(t, "the refusal is known", 30*time.Second, func() bool { return m.Status()[0].Err != nil })
	time.Sleep(3 * time.Second)
	if s := m.Status()[0]; s.Failures != 1 || !strings.Contains(s.Err.Error(), "rejectedIdentifier") {
		t.Errorf("the status is %+v", s)
	}
}

// Another check would need another port.
func TestAFailedCheckIsNotTriedInAnotherWay(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	check(t, e.socket.Close())
	m := mustNew(t, e.config(a))
	run(t, m)
	until(t, "the refusal is known", 30*time.Second, func() bool { return m.Status()[0].Err != nil })
	if err := m.Status()[0].Err.Error(); !strings.Contains(err, "tls-alpn-01") {
		t.Errorf("the error is %v", err)
	}
	tried := 0
	for line := range strings.Lines(e.log.String()) {
		if !strings.Contains(line, "trying to solve challenge") {
			continue
		}
		if tried++; !strings.Contains(line, `"challenge_type":"tls-alpn-01"`) {
			t.Errorf("another check was tried: %s", line)
		}
	}
	if tried == 0 {
		t.Error("no check was tried: nothing was tested")
	}
}

func TestRunEndsWhileTheAuthorityDoesNotAnswer(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	a.down()
	silent := newEdge(t) // accepts by its backlog, and never answers
	c := e.config(a)
	c.Directory = "https://" + silent.socket.Addr().String() + "/dir"
	m := mustNew(t, c)
	stop := run(t, m)
	time.Sleep(300 * time.Millisecond)
	started := time.Now()
	stop()
	if d := time.Since(started); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
	if err := m.Status()[0].Err; err != nil {
		t.Errorf("the end of the process counts as a failure: %v", err)
	}
}

func TestRunningTwiceIsAnError(t *testing.T) {
	e := newEdge(t)
	a := newAuthority(t, e.port(), authorityOptions{})
	m := mustNew(t, e.config(a))
	e.serve(m)
	stop := run(t, m)
	until(t, "a certificate", 30*time.Second, ready(m))
	if err := m.Run(t.Context()); err == nil || errors.Is(err, t.Context().Err()) {
		t.Errorf("the second Run returned %v", err)
	}
	stop()
	run(t, m)() // one after the other is none
}
