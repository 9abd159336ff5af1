package gateway_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/internal/audit"
)

// reused makes a call and tells whether its connection had served another.
func (l *live) reused(t *testing.T, listener string) (reused bool, status int) {
	t.Helper()
	in, err := http.NewRequest(http.MethodPost, "http://"+l.Address(listener).String()+listUsers, strings.NewReader("{}"))
	check(t, err)
	in.Header.Set("Content-Type", "application/json")
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }}
	res, err := l.client.Do(in.WithContext(httptrace.WithClientTrace(in.Context(), trace)))
	check(t, err)
	_, err = io.Copy(io.Discard, res.Body) // or the connection is not kept
	check(t, err)
	check(t, res.Body.Close())
	return reused, res.StatusCode
}

func TestListenersThatDoNotChangeKeepTheirConnections(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	l.reused(t, "local")
	l.configure(t, liveListeners+"  - {name: second, address: \"127.0.0.1:0\", callers: {anonymous: local}}\n", liveRules, liveRest)
	check(t, l.Reload())
	if reused, status := l.reused(t, "local"); !reused || status != 200 {
		t.Errorf("the first listener did not change: connection reused %t, status %d", reused, status)
	}
	second := l.Address("second").String()
	if _, status := l.reused(t, "second"); status != 200 {
		t.Errorf("the added listener: %d", status)
	}
	l.configure(t, liveListeners, liveRules, liveRest)
	check(t, l.Reload())
	if l.Address("second") != nil {
		t.Error("the removed listener still has an address")
	}
	eventually(t, "nobody listens where the removed listener was", func() bool {
		c, err := net.Dial("tcp", second)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if reused, status := l.reused(t, "local"); !reused || status != 200 {
		t.Errorf("after the removal: connection reused %t, status %d", reused, status)
	}
}

// Who the callers are is asked of each request: a connection that stays is no
// way around new callers.
func TestNewCallersCountOnOldConnections(t *testing.T) {
	l := goLive(t, liveListeners, liveRules, liveRest)
	l.reused(t, "local")
	l.configure(t, strings.Replace(liveListeners, "anonymous: local", "anonymous: stranger", 1), liveRules, liveRest)
	check(t, l.Reload())
	if reused, status := l.reused(t, "local"); !reused || status != 403 {
		t.Errorf("connection reused %t, status %d", reused, status)
	}
}

// The socket of a listener stays when its TLS comes or goes, and its name changes.
func TestAnAddressKeepsItsSocketWhateverServesIt(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := free.Addr().String()
	check(t, free.Close())
	plain := "listeners: [{name: plain, address: \"" + address + "\", callers: {anonymous: local}}]\n"
	l := goLive(t, plain, liveRules, liveRest)
	if _, status := l.reused(t, "plain"); status != 200 {
		t.Fatal(status)
	}
	l.client.CloseIdleConnections() // it is about to be closed: who calls at that moment would be cut off
	a := newAuthority(t)
	cert, key := pair(t, a.issue(forServer))
	write(t, filepath.Join(l.dir, "server.crt"), cert)
	write(t, filepath.Join(l.dir, "server.key"), key)
	l.configure(t, "listeners: [{name: secured, address: \""+address+"\", tls: {certificate_file: \"$DIR/server.crt\", key_file: \"$DIR/server.key\"}, callers: {anonymous: local}}]\n", liveRules, liveRest)
	check(t, l.Reload())
	m := &mesh{authority: a, address: address}
	res, _, err := m.list(m.client(nil, true))
	if err != nil || res.StatusCode != 200 || res.ProtoMajor != 2 {
		t.Errorf("by TLS: %v, %v", res, err)
	}
	l.configure(t, plain, liveRules, liveRest)
	check(t, l.Reload())
	if _, status := l.reused(t, "plain"); status != 200 {
		t.Errorf("plain again: %d", status)
	}
}

// records are those of one file, in order.
func records(t *testing.T, file string) []audit.Record {
	t.Helper()
	f, err := os.Open(file)
	check(t, err)
	defer f.Close()
	all, err := audit.ReadAll(f)
	check(t, err)
	return all
}
