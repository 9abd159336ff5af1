package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

var update = flag.Bool("update", false, "write what happened into the scenario files")

// A scenario is one txtar file: configuration, request as the caller sends it,
// the answer that the upstream gives, and then what must come of it: what the
// upstream saw, what the caller got, and the audit records.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			given := make(map[string]string)
			for _, f := range archive.Files {
				given[f.Name] = string(f.Data)
			}
			saw, got, records := play(t, given)
			for _, section := range [...][2]string{{"upstream saw", saw}, {"response", got}, {"audit", records}} {
				name, happened := section[0], section[1]
				if *update {
					set(archive, name, happened)
				} else if given[name] != happened {
					t.Errorf("%s\n--- want\n%s\n--- have\n%s", name, given[name], happened)
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func set(a *txtar.Archive, name, data string) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = []byte(data)
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(data)})
}

// play runs one scenario with a clock that stands and ids that count.
func play(t *testing.T, given map[string]string) (saw, got, records string) {
	dir := t.TempDir()
	upstream := newRawUpstream(t, crlf(given["answer"]))
	audit := filepath.Join(dir, "audit.jsonl")
	write(t, filepath.Join(dir, "token"), "service-user-token")
	text := strings.NewReplacer("$UPSTREAM", upstream.address, "$DIR", dir, "$AUDIT", audit).Replace(given["config.yaml"])
	cfg, err := config.Parse("config.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ids := 0
	address, stop := serve(t, cfg, gateway.Options{
		Clock: func() time.Time { return time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC) },
		NewID: func() string { ids++; return fmt.Sprintf("REQUEST-%d", ids) },
	})
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, strings.ReplaceAll(crlf(given["request"]), "$LISTENER", address)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	got = dumpResponse(t, res)
	stop()
	lines, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	saw = strings.ReplaceAll(upstream.saw(), upstream.address, "$UPSTREAM")
	return saw, got, strings.ReplaceAll(string(lines), c.LocalAddr().String(), "$CALLER")
}

// serve runs a gateway and returns the address of its first listener.
func serve(t *testing.T, cfg *config.Config, options gateway.Options) (address string, stop func()) {
	t.Helper()
	g, err := gateway.New(cfg, options)
	if err != nil {
		t.Fatal(err)
	}
	return g.Address(cfg.Listeners[0].Name).String(), runGateway(t, g)
}

// runGateway runs g until the test ends or stop is called.
func runGateway(t *testing.T, g *gateway.Gateway) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ending gateway: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// crlf turns the header of a message into what HTTP wants and drops the
// newline that ends the file.
func crlf(message string) string {
	header, body, _ := strings.Cut(message, "\n\n")
	return strings.ReplaceAll(strings.TrimSuffix(header, "\n"), "\n", "\r\n") + "\r\n\r\n" + strings.TrimSuffix(body, "\n")
}

func dumpResponse(t *testing.T, res *http.Response) string {
	res.Header.Del("Date")
	text, err := httputil.DumpResponse(res, true)
	if err != nil {
		t.Fatal(err)
	}
	return readable(string(text))
}

// readable sorts header lines and ends the text with a newline.
func readable(message string) string {
	header, body, _ := strings.Cut(strings.ReplaceAll(message, "\r\n", "\n"), "\n\n")
	lines := strings.Split(header, "\n")
	sort.Strings(lines[1:])
	out := strings.Join(lines, "\n") + "\n"
	if body != "" {
		out += "\n" + strings.TrimSuffix(body, "\n") + "\n"
	}
	return out
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rawUpstream gives each connection the same answer and keeps what it was sent.
type rawUpstream struct {
	address string
	seen    chan string
}

func newRawUpstream(t *testing.T, answer string) *rawUpstream {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &rawUpstream{address: socket.Addr().String(), seen: make(chan string, 16)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			u.one(c, answer)
		}
	}()
	t.Cleanup(func() { socket.Close(); <-ended })
	return u
}

func (u *rawUpstream) one(c net.Conn, answer string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	var raw bytes.Buffer
	r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &raw)))
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	if r.UserAgent() != "zproxy" { // what zproxy asks on its own behalf is no part of a request's way
		u.seen <- readable(raw.String())
	}
	_, _ = io.WriteString(c, answer)
}

func (u *rawUpstream) saw() string {
	var all strings.Builder
	for {
		select {
		case s := <-u.seen:
			all.WriteString(s)
		default:
			if all.Len() == 0 {
				return "(nothing)\n"
			}
			return all.String()
		}
	}
}
