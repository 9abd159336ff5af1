package main

import (
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/sandbox"
)

// SIGHUP reloads, and systemd is told when it begins and when it is done. What a
// confined process cannot open any more is refused with the way out.
func TestSIGHUPReloads(t *testing.T) {
	s := newSite(t)
	address, socket := listening(t)
	file := s.write(t, "zproxy.yaml", siteFile)
	p := startProcess(t, file, map[string]*os.File{"local": socket})
	status := func() int {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
		res, err := client.Post("http://"+address+"/v2/users", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if got := status(); got != 200 {
		t.Fatal(got)
	}
	s.write(t, "zproxy.yaml", strings.Replace(siteFile, "UserService/ListUsers, ", "UserService/ListKeys, ", 1))
	p.signal(syscall.SIGHUP)
	p.log.waits(t, "configuration reloaded")
	if got := status(); got != 403 {
		t.Errorf("after the reload: %d", got)
	}
	p.notified.waitsFor(t, regexp.MustCompile(`(?s)READY=1.*RELOADING=1\nMONOTONIC_USEC=\d+\n.*READY=1`))

	elsewhere := filepath.Join(t.TempDir(), "key.json")
	key, err := os.ReadFile(filepath.Join(s.dir, "key.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(elsewhere, key, 0o600); err != nil {
		t.Fatal(err)
	}
	s.write(t, "zproxy.yaml", strings.Replace(siteFile, "$DIR/key.json", elsewhere, 1))
	p.signal(syscall.SIGHUP)
	if strings.Contains(p.log.String(), "this kernel has no Landlock") {
		t.Skip("this kernel has no Landlock")
	}
	p.log.waits(t, "restart zproxy, or say confine: false")
	p.log.waits(t, "the one before serves on")
	if got := status(); got != 403 {
		t.Errorf("after the refused reload: %d", got)
	}
	s.write(t, "zproxy.yaml", siteFile+"confine: false\n")
	p.signal(syscall.SIGHUP)
	p.log.waits(t, "restart zproxy to change it")
	p.signal(syscall.SIGTERM)
	p.ends()
}

// The second signal does not wait for anybody.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Run("SIGTERM", func(t *testing.T) { endTwice(t, syscall.SIGTERM) })
	t.Run("SIGINT", func(t *testing.T) { endTwice(t, syscall.SIGINT) })
}

// endTwice starts zproxy with SIGINT ignored, as a shell does in the background.
func endTwice(t *testing.T, signals syscall.Signal) {
	s := newSite(t)
	address, socket := listening(t)
	signal.Ignore(syscall.SIGINT)
	defer signal.Reset(syscall.SIGINT)
	p := startProcess(t, s.write(t, "zproxy.yaml", siteFile), map[string]*os.File{"local": socket})
	s.FailAPI(0, 1, time.Minute)
	client := &http.Client{Transport: new(http.Transport), Timeout: time.Minute}
	gone := make(chan error, 1)
	go func() {
		res, err := client.Get("http://" + address + "/v2/users/" + s.Users()["alice@acme.example"])
		if err == nil {
			_ = res.Body.Close()
		}
		gone <- err
	}()
	aimed := func(r sandbox.Request) bool { return strings.HasPrefix(r.Target, "/v2/users/") } // not what zproxy asks itself
	for !slices.ContainsFunc(s.Requests(), aimed) {
		time.Sleep(5 * time.Millisecond)
	}
	p.signal(signals)
	p.log.waits(t, "draining") // two at once would be one to the kernel
	began := time.Now()
	p.signal(signals)
	if err := p.waited(); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("it ended with %v after %v, want at once and with a non-zero code", err, time.Since(began))
	}
	if err := <-gone; err == nil {
		t.Error("the request that was in flight was answered")
	}
	client.CloseIdleConnections()
}
