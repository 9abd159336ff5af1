package conformance_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
)

const service = "connectrpc.conformance.v1.ConformanceService/"

// fronts are zproxies, one for each upstream.
type fronts struct {
	dir string
	mu  sync.Mutex
	at  map[string]string // upstream → zproxy
	end []func() error
}

func newFronts() (*fronts, error) {
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return nil, err
	}
	return &fronts{dir: dir, at: make(map[string]string)}, os.WriteFile(filepath.Join(dir, "token"), []byte("token"), 0o600)
}

// before starts a zproxy before an upstream, or finds the one that is there.
func (f *fronts) before(host string, port uint64) (uint64, error) {
	upstream := net.JoinHostPort(host, strconv.FormatUint(port, 10))
	f.mu.Lock()
	defer f.mu.Unlock()
	address, ok := f.at[upstream]
	if !ok {
		var err error
		if address, err = f.start(upstream); err != nil {
			return 0, err
		}
		f.at[upstream] = address
	}
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 16)
}

func (f *fronts) start(upstream string) (string, error) {
	operations := ""
	for _, m := range []string{"Unary", "ServerStream", "ClientStream", "BidiStream", "Unimplemented", "IdempotentUnary"} {
		operations += strconv.Quote(service+m) + ", "
	}
	// Every header of the suite passes. The user id makes zproxy look into every
	// message, so that streams are tested through the guard.
	text := fmt.Sprintf(`version: 1
upstream:
  issuer: "http://%s"
  forward_headers: [x-custom-*, x-conformance-*, x-test-case-name, x-expect-*, x-connect-trailers-only]
listeners: [{name: local, address: "127.0.0.1:0", callers: {anonymous: local}}]
service_users: [{name: any, personal_access_token: {token_file: %q, user_id: "287345091734099999"}}]
unlisted_operations: [%s]
limits: {drain: 1s}
rules: [{name: all, callers: ["anonymous:local"], operations: [%s], as: any}]
audit: {file: %q}
`, upstream, filepath.Join(f.dir, "token"), operations, operations, filepath.Join(f.dir, "audit.jsonl"))
	cfg, err := config.Parse("conformance.yaml", []byte(text))
	if err != nil {
		return "", err
	}
	g, err := gateway.New(cfg, gateway.Options{})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	f.end = append(f.end, func() error { cancel(); return <-ended })
	return g.Address("local").String(), nil
}

func (f *fronts) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, end := range f.end {
		_ = end() // what is in flight at the end of the suite is cut off
	}
	_ = os.RemoveAll(f.dir)
}
