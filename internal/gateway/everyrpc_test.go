package gateway_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/sandbox"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
	"github.com/zproxy/zproxy/proxy"
)

// somebody says that every request is of one caller.
type somebody struct{ caller authn.Caller }

func (s somebody) Authenticate(r *http.Request) (authn.Identity, error) {
	return authn.Identity{Caller: s.caller, Peer: r.RemoteAddr}, nil
}

// Each of ZITADEL's RPCs, in each transport and spelling that it has: with a
// rule that names it alone it is performed, with a rule that names its
// neighbour it is refused.
func TestARuleCoversItsOperationInEveryTransportAndNoOther(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pat"), s.AddPAT(s.AddMachineUser("pat", "IAM_OWNER")))
	source, err := serviceuser.New(serviceuser.Config{Name: "pat", Issuer: s.Issuer(), Transport: &http.Transport{}},
		serviceuser.PersonalAccessToken(filepath.Join(dir, "pat")).WithUserID("1000000000000001"))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	fetching := make(chan error, 1)
	go func() { fetching <- source.Run(ctx) }()
	defer func() { cancel(); check(t, <-fetching) }()
	_, err = source.Next(ctx, nil)
	check(t, err)
	upstream, err := proxy.NewUpstream(proxy.UpstreamConfig{Issuer: s.Issuer(), Address: &url.URL{Scheme: "http", Host: s.Issuer().Host}})
	check(t, err)
	defer upstream.Close()
	log, err := audit.Open(audit.Options{File: filepath.Join(dir, "audit.jsonl")})
	check(t, err)
	defer log.Close()
	catalogue, err := operation.Default()
	check(t, err)
	types, err := message.Default()
	check(t, err)
	caller, err := authn.ParseCaller("unix:crm")
	check(t, err)

	// with makes the handler of a policy whose one rule names op.
	with := func(op *operation.Operation) http.Handler {
		as := "pat"
		if policy.ChangesItself(op) {
			as = policy.AsCaller
		}
		rules, err := policy.Compile(catalogue, []policy.Rule{{
			Name: "one", Callers: []string{"unix:crm"}, Operations: []string{string(op.Name)}, Hazards: op.Hazards.Names(), As: as,
		}})
		check(t, err)
		p, err := proxy.New(proxy.Config{
			Catalogue: catalogue, Policy: rules, ServiceUsers: map[string]proxy.ServiceUser{"pat": source}, Upstream: upstream, Audit: log,
			HeaderBytes: 64 << 10, BodyBytes: 1 << 20, InspectBytes: 1 << 20,
		})
		check(t, err)
		return p.Listener("local", somebody{caller})
	}
	var current atomic.Pointer[http.Handler]
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*current.Load()).ServeHTTP(w, r) })}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(socket) }()
	defer func() { check(t, server.Close()); <-ended }()
	p := &pinned{Sandbox: s, address: socket.Addr().String(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	defer p.client.CloseIdleConnections()

	token := http.Header{"Authorization": {"Bearer " + s.AddPAT(s.AddMachineUser("caller", "IAM_OWNER"))}} // of rules with as: caller
	var before http.Handler                                                                                // of the neighbour
	rpcs, calls := 0, 0
	for _, op := range catalogue.Operations() {
		shape, ok := types.Of(op.Name)
		if !ok {
			continue
		}
		rpcs++
		own := with(op)
		for _, spelling := range spellings(t, op, dynamicpb.NewMessage(shape)) {
			calls++
			current.Store(&own)
			done := p.performed(t, spelling, token)
			if spelling.target == "/v2beta/administrators/search" && strings.HasSuffix(string(op.Name), "/ListAdministrators") {
				if len(done) > 0 { // ZITADEL would take it for UpdateAdministrator of the user "search"
					t.Errorf("%s by %s: performed %+v", op.Name, spelling.target, done)
				}
				continue
			}
			if healthz := op.Permission == "" && len(done) == 0; !healthz && (len(done) != 1 || done[0].Operation != string(op.Name)) {
				t.Errorf("%s by %s %s: performed %+v", op.Name, spelling.name, spelling.target, done)
			}
			if before == nil {
				continue
			}
			current.Store(&before)
			requests := s.Count()
			if done := p.performed(t, spelling, token); len(done) > 0 || s.Count() > requests {
				t.Errorf("%s by %s %s: performed %+v under a rule for another operation", op.Name, spelling.name, spelling.target, done)
			}
		}
		before = own
	}
	t.Logf("%d RPCs, %d spellings", rpcs, calls)
	if rpcs != 899 || calls < 6000 {
		t.Errorf("only %d RPCs and %d spellings", rpcs, calls)
	}
}
