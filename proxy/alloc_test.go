package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// The allocations of a proxied request, net/http's own included, are counted
// in a process that does nothing else: caller and upstream are this program,
// run again in one of two roles.
const (
	roleVariable = "ZPROXY_TEST_ROLE"
	roleUpstream = "upstream"
	roleCaller   = "caller"
)

func TestAllocationsPerProxiedRequest(t *testing.T) {
	for _, c := range []struct {
		name, path, contentType string
		major, budget           int
	}{
		{"HTTP1", "/v2/users/163840776835432705", "", 1, 95},
		{"HTTP2", "/v2/users/163840776835432705", "", 2, 115},
		{"GRPC", "/" + userRead, "application/grpc", 2, 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGatewayAt(t, "http://"+start(t, roleUpstream), options{})
			warm, counted := 200, 2000
			if raceEnabled {
				counted = 100 // the figure means nothing then
			}
			start(t, roleCaller, g.url+c.path, c.contentType, strconv.Itoa(c.major), strconv.Itoa(warm))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start(t, roleCaller, g.url+c.path, c.contentType, strconv.Itoa(c.major), strconv.Itoa(counted))
			runtime.ReadMemStats(&after)
			each := float64(after.Mallocs-before.Mallocs) / float64(counted)
			t.Logf("%.1f allocations a request, budget %d", each, c.budget)
			if each > float64(c.budget) && !raceEnabled {
				t.Errorf("%.1f allocations a request, budget %d", each, c.budget)
			}
		})
	}
}

// start runs this program in a role. An upstream runs until the test ends and
// its address is returned; a caller is waited for.
func start(t *testing.T, role string, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	if role == roleCaller {
		check(t, cmd.Run())
		return ""
	}
	in, err := cmd.StdinPipe() // its end tells the upstream to stop
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	return strings.TrimSpace(address)
}

// play is a role's whole program.
func play(role string) error {
	if role == roleUpstream {
		return playUpstream()
	}
	if len(os.Args) != 5 {
		return errors.New("a caller takes URL, content type, HTTP version and count")
	}
	count, err := strconv.Atoi(os.Args[4])
	if err != nil {
		return err
	}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(os.Args[3] == "1")
	tr.Protocols.SetUnencryptedHTTP2(os.Args[3] == "2")
	for range count {
		if err := call(tr, os.Args[1], os.Args[2]); err != nil {
			return err
		}
	}
	return nil
}

func call(tr *http.Transport, url, contentType string) error {
	method, body := http.MethodGet, []byte(nil)
	if contentType != "" {
		method, body = http.MethodPost, framed(0, []byte("\x0a\x01\x31"))
	}
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Te", "trailers")
	}
	res, err := tr.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || contentType != "" && res.Trailer.Get("Grpc-Status") != "0" {
		return fmt.Errorf("status %d, trailer %v", res.StatusCode, res.Trailer)
	}
	return nil
}

func playUpstream() error {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{Protocols: cleartext(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Content-Type") == "application/grpc" {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write(framed(0, []byte("\x0a\x01\x31")))
			w.Header().Set("Grpc-Status", "0")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"user":{"username":"alice"}}`)
	})}
	fmt.Println(socket.Addr())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); _ = s.Close() }()
	if err := s.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
