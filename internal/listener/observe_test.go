package listener_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/internal/listener"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reports keeps what Observe told.
type reports struct {
	mu    sync.Mutex
	all   []int
	peers []string
}

func (r *reports) add(c listener.ConnInfo, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.peers = append(r.all, status), append(r.peers, c.Peer)
}

func (r *reports) statuses() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// serve serves h on an observed socket as the gateway does.
func serve(t *testing.T, s listener.Spec, h http.HandlerFunc) (net.Addr, *reports) {
	t.Helper()
	socket, err := listener.Open(s)
	check(t, err)
	seen := new(reports)
	o := listener.Observe(socket, seen.add)
	server := &http.Server{
		Handler: o.Handler(h), ConnContext: o.ConnContext, MaxHeaderBytes: 4 << 10, Protocols: new(http.Protocols),
		ErrorLog: log.New(io.Discard, "", 0), DisableGeneralOptionsHandler: true,
	}
	var open sync.WaitGroup // net/http lingers half a second after a 431
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Done()
		}
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(o) }()
	t.Cleanup(func() { _ = server.Close(); <-ended; open.Wait() })
	return socket.Addr(), seen
}

var loopback = listener.Spec{Name: "test", Network: "tcp", Address: "127.0.0.1:0"}

// exchange sends text as it is and returns all that comes back.
func exchange(t *testing.T, a net.Addr, text string) string {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	check(t, err)
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	_, _ = io.WriteString(c, text) // the server may answer before it has read all
	got, _ := io.ReadAll(c)        // and may reset the connection after its answer
	return string(got)
}

func answer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, strings.Repeat("answer ", len(r.URL.Path)*1000))
}

func TestMalformedRequestsAreReportedOnce(t *testing.T) {
	a, seen := serve(t, loopback, answer)
	want := []int{}
	for _, test := range []struct {
		text   string
		status int
	}{
		{"nonsense that is no request line\r\n\r\n", 400},
		{"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", 431},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417},
		{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
	} {
		got := exchange(t, a, test.text)
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", test.status)) {
			t.Errorf("%.40q: got %.60q, want %d", test.text, got, test.status)
		}
		want = append(want, test.status)
		if all := seen.statuses(); !slices.Equal(all, want) {
			t.Fatalf("after %.40q: reported %v, want %v", test.text, all, want)
		}
	}
}

func TestHandledAnswersAreNotReported(t *testing.T) {
	a, seen := serve(t, loopback, answer)
	for _, text := range []string{
		"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"GET /long HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 3) + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	} {
		if got := exchange(t, a, text); !strings.HasPrefix(got, "HTTP/1.") {
			t.Errorf("%.40q: got %.60q", text, got)
		}
	}
	if all := seen.statuses(); len(all) != 0 {
		t.Errorf("reported %v", all)
	}
}

func TestMalformedRequestAfterGoodOnesIsReported(t *testing.T) {
	a, seen := serve(t, loopback, answer)
	good := "GET /path HTTP/1.1\r\nHost: a\r\n\r\n"
	if got := exchange(t, a, good+good+"nonsense\r\n\r\n"); !strings.Contains(got, "HTTP/1.1 400 ") {
		t.Errorf("pipelined: got %.60q", got)
	}
	c, err := net.Dial("tcp", a.String())
	check(t, err)
	defer c.Close()
	in := bufio.NewReader(c)
	for _, text := range []string{good, good, "nonsense\r\n\r\n"} {
		_, err := io.WriteString(c, text)
		check(t, err)
		res, err := http.ReadResponse(in, nil)
		check(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		check(t, err)
	}
	if all := seen.statuses(); !slices.Equal(all, []int{400, 400}) {
		t.Errorf("reported %v", all)
	}
}

func TestHTTP2ByPriorKnowledgeIsUndisturbed(t *testing.T) {
	a, seen := serve(t, loopback, answer)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			res, err := (&http.Client{Transport: tr}).Get("http://" + a.String() + "/path")
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err != nil || len(body) != 35000 || res.ProtoMajor != 2 {
				t.Errorf("%s: %d bytes, %v", res.Proto, len(body), err)
			}
		})
	}
	all.Wait()
	if got := seen.statuses(); len(got) != 0 {
		t.Errorf("reported %v", got)
	}
}

func TestPeerOfAUnixSocketIsReportedByItsCredentials(t *testing.T) {
	a, seen := serve(t, listener.Spec{Name: "test", Network: "unix", Address: filepath.Join(t.TempDir(), "s")}, answer)
	exchange(t, a, "nonsense that is no request line\r\n\r\n")
	if len(seen.statuses()) != 1 || !strings.HasPrefix(seen.peers[0], "uid=") {
		t.Errorf("peers %q", seen.peers)
	}
}

func TestObserveWithoutConnContextStillServes(t *testing.T) {
	o := listener.Observe(nil, nil)
	if ctx := o.ConnContext(context.Background(), nil); ctx == nil {
		t.Error("no context")
	}
}
