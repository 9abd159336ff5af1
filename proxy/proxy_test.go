package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/proxy"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	ownID     = "287345091734099999" // the service user's own id in ZITADEL
	token     = "Bearer service-user-token"
	unlisted  = "test.v1.TestService/"
	userRead  = "zitadel.user.v2.UserService/GetUserByID"
	userList  = "zitadel.user.v2.UserService/ListUsers"
	userLock  = "zitadel.user.v2.UserService/LockUser"
	ownMember = "zitadel.auth.v1.AuthService/GetMyUser"
)

// gateway is a proxy between real sockets.
type gateway struct {
	url     string // where callers connect
	address string
	log     *lockedBuffer
	user    *staticUser
}

// options change what newGateway builds.
type options struct {
	config func(*proxy.Config)
	rules  []policy.Rule
	says   authn.Authenticator // nil: callers are anonymous
}

// newGateway puts a proxy before upstream; both speak HTTP/1.1 and h2c.
func newGateway(t testing.TB, upstream http.Handler, o options) *gateway {
	t.Helper()
	up := httptest.NewUnstartedServer(upstream)
	up.Config.Protocols = cleartext()
	up.Start()
	t.Cleanup(up.Close)
	return newGatewayAt(t, up.URL, o)
}

// newGatewayAt puts a proxy before the upstream at address.
func newGatewayAt(t testing.TB, address string, o options) *gateway {
	t.Helper()
	issuer, err := url.Parse(address)
	check(t, err)
	zitadel, err := proxy.NewUpstream(proxy.UpstreamConfig{Issuer: issuer})
	check(t, err)
	t.Cleanup(zitadel.Close)
	catalogue, err := operation.Default()
	check(t, err)
	catalogue, err = catalogue.WithUnlisted(unlisted+"Call", unlisted+"Stream")
	check(t, err)
	rules := o.rules
	if rules == nil {
		rules = []policy.Rule{{
			Name: "everything-tested", Callers: []string{"anonymous:test"}, As: "reader",
			Operations: []string{userRead, userList, userLock, unlisted + "Call", unlisted + "Stream",
				"zitadel.management.v1.ManagementService/GetUserByID", "zitadel.user.v2.UserService/DeactivateUser"},
		}}
	}
	compiled, err := policy.Compile(catalogue, rules)
	check(t, err)
	g := &gateway{log: new(lockedBuffer), user: newStaticUser()}
	records, err := audit.Open(audit.Options{Writer: g.log})
	check(t, err)
	c := proxy.Config{
		Catalogue: catalogue, Policy: compiled, Upstream: zitadel, Audit: records,
		ServiceUsers: map[string]proxy.ServiceUser{"reader": g.user},
		HeaderBytes:  16 << 10, BodyBytes: 1 << 20, InspectBytes: 256 << 10,
	}
	if o.config != nil {
		o.config(&c)
	}
	p, err := proxy.New(c)
	check(t, err)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	says, err := authn.NewAnonymous(authn.AnonymousConfig{Name: "test", Network: "tcp", ListenAddress: socket.Addr().String()})
	check(t, err)
	if o.says != nil {
		says = o.says
	}
	s := &http.Server{Handler: p.Listener("test", says), Protocols: cleartext(), DisableGeneralOptionsHandler: true}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(socket) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	g.address = socket.Addr().String()
	g.url = "http://" + g.address
	return g
}

func cleartext() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client speaks HTTP/1.1, or HTTP/2 by prior knowledge.
func client(t testing.TB, major int) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	if major == 2 {
		tr.Protocols.SetUnencryptedHTTP2(true)
	} else {
		tr.Protocols.SetHTTP1(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// records waits for n records and returns all that there are.
func (g *gateway) records(t *testing.T, n int) []audit.Record {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		lines := strings.Count(g.log.String(), "\n")
		if lines >= n || time.Now().After(deadline) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	records, err := audit.ReadAll(strings.NewReader(g.log.String()))
	check(t, err)
	if len(records) < n {
		t.Fatalf("%d audit records, want %d:\n%s", len(records), n, g.log.String())
	}
	return records
}

// staticUser is a service user with a token that a test replaces.
type staticUser struct {
	mu        sync.Mutex
	held      *serviceuser.Token
	next      *serviceuser.Token // what Next gives; nil: an error
	err       error
	discarded int
}

func newStaticUser() *staticUser {
	return &staticUser{held: &serviceuser.Token{Authorization: []string{token}, Generation: 1}}
}

func (u *staticUser) Token() (*serviceuser.Token, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return nil, u.err
	}
	return u.held, nil
}

func (u *staticUser) Discard(*serviceuser.Token) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.discarded++
}

func (u *staticUser) Next(context.Context, *serviceuser.Token) (*serviceuser.Token, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.next == nil {
		return nil, errors.New("no newer token")
	}
	u.held = u.next
	return u.next, nil
}

func (u *staticUser) UserID() string { return ownID }

func (u *staticUser) SystemUser() bool { return false }

// lockedBuffer takes audit lines while a test reads them.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	fail error
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return 0, b.fail
	}
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *lockedBuffer) failWith(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

// outcomes are the outcome records among records.
func outcomes(records []audit.Record) (out []audit.Record) {
	for _, r := range records {
		if r.Kind == audit.Outcome {
			out = append(out, r)
		}
	}
	return out
}
