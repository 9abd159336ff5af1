package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/zproxy/zproxy/internal/sandbox"
)

var update = flag.Bool("update", false, "write the output that scripts compare with")

// Each file of testdata/script is a session at a shell, against the real program.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		Setup:         func(e *testscript.Env) error { e.Values[standIn{}] = new(standIn); return nil },
		UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"zitadel":  startZITADEL,
			"keys":     countKeys,
			"roles":    compareRoles,
			"crowd":    crowd,
			"replaced": replaced,
			"freeport": freePort,
			"request":  request,
			"expand":   expandFile,
			"terminate": func(ts *testscript.TestScript, _ bool, _ []string) {
				for _, c := range ts.BackgroundCmds() {
					ts.Check(c.Process.Signal(syscall.SIGTERM))
				}
			},
			"jsonlines": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(jsonLines(ts.ReadFile(args[0])))
			},
		},
	})
}

// startZITADEL (zitadel) starts a stand-in: $ISSUER is its origin, $READER_ID
// its user reader, whose key is reader.json, secret reader.secret, and personal
// access token reader.pat. admin.pat is one of its owner.
func startZITADEL(ts *testscript.TestScript, _ bool, _ []string) {
	s, err := sandbox.Start(sandbox.Options{})
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
	id := s.AddMachineUser("reader", "ORG_OWNER_VIEWER")
	key, err := s.KeyFile(id)
	ts.Check(err)
	for name, text := range map[string]string{"reader.json": string(key), "reader.secret": s.AddSecret(id), "reader.pat": s.AddPAT(id), "admin.pat": s.AddPAT(s.AddMachineUser("admin", "IAM_OWNER"))} {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
	standInOf(ts).Sandbox = s
	ts.Setenv("ISSUER", s.Issuer().String())
	ts.Setenv("READER_ID", id)
}

// freePort (freeport NAME) sets $NAME to a port that nobody listens on. It is
// below those that the kernel gives out, or another test would be given it
// before it is used.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	for range 1000 {
		port := strconv.Itoa(15000 + rand.IntN(15000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		ts.Check(l.Close())
		ts.Setenv(args[0], port)
		return
	}
	ts.Fatalf("no port is free")
}

// expandFile (expand FILE) replaces $NAME in FILE.
func expandFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// request (request STATUS ADDRESS METHOD PATH) sends {} as JSON to an address
// as listeners have it, and keeps the answer's body in the file answer. It
// waits until somebody listens and, for 503, until a token is there.
func request(ts *testscript.TestScript, _ bool, args []string) {
	network, address := "tcp", args[1]
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	host := address
	if network == "unix" {
		host = "zproxy"
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, body, err := send(client, args[2], "http://"+host+args[3])
		waits := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || status == http.StatusServiceUnavailable
		if waits && strconv.Itoa(status) != args[0] && time.Now().Before(end) {
			continue
		}
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs("answer"), body, 0o600))
		if strconv.Itoa(status) != args[0] {
			ts.Fatalf("status %d: %s", status, body)
		}
		return
	}
}

func send(client *http.Client, method, url string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// jsonLines fails on a line that is no JSON object.
func jsonLines(text string) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	for n := 0; ; n++ {
		var object map[string]any
		switch err := d.Decode(&object); {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case err != nil:
			return err
		}
	}
}
