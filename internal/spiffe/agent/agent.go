// Package agent serves the SPIFFE Workload API on a unix socket, as tests want
// it to: it gives what it is told, refuses when it is told, goes away and comes back.
package agent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"sync"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Agent is a SPIFFE agent with one workload. It is safe for concurrent use.
type Agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	socket string

	mu      sync.Mutex
	server  *grpc.Server // nil: stopped
	ended   chan struct{}
	answer  *workload.X509SVIDResponse
	refusal error
	changed chan struct{} // closed when answer or refusal is another
	sent    int
}

// New returns an agent that is not there yet. Until [Agent.Give] it refuses.
func New(socket string) *Agent {
	return &Agent{socket: socket, refusal: status.Error(codes.PermissionDenied, "no identity issued"), changed: make(chan struct{})}
}

// Address is where it is, as configurations have it.
func (a *Agent) Address() string { return "unix://" + a.socket }

// Start makes it be there.
func (a *Agent) Start() error {
	l, err := net.Listen("unix", a.socket)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	server, ended := grpc.NewServer(), make(chan struct{})
	workload.RegisterSpiffeWorkloadAPIServer(server, a)
	a.server, a.ended = server, ended
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	return nil
}

// Stop makes it go away, without a word to those who listen.
func (a *Agent) Stop() {
	a.mu.Lock()
	server, ended := a.server, a.ended
	a.server = nil
	a.mu.Unlock()
	if server != nil {
		server.Stop()
		<-ended
	}
}

// Give sends an SVID and its trust domain's bundle, and those of others by their
// trust domains, to all who listen now or later.
func (a *Agent) Give(svid tls.Certificate, bundle []*x509.Certificate, federated map[string][]*x509.Certificate) error {
	answer, err := Answer(svid, bundle, federated)
	if err == nil {
		a.Send(answer)
	}
	return err
}

// Send sends an answer as it is.
func (a *Agent) Send(answer *workload.X509SVIDResponse) { a.change(answer, nil) }

// Refuse ends all streams, and those that begin later, with a status.
func (a *Agent) Refuse(code codes.Code, message string) { a.change(nil, status.Error(code, message)) }

func (a *Agent) change(answer *workload.X509SVIDResponse, refusal error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer, a.refusal = answer, refusal
	close(a.changed)
	a.changed = make(chan struct{})
}

// Sent is how many answers and refusals were given.
func (a *Agent) Sent() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent
}

func (a *Agent) now() (*workload.X509SVIDResponse, <-chan struct{}, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent++
	return a.answer, a.changed, a.refusal
}

// FetchX509SVID implements [workload.SpiffeWorkloadAPIServer].
func (a *Agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	header, _ := metadata.FromIncomingContext(stream.Context())
	if got := header.Get("workload.spiffe.io"); len(got) != 1 || got[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	for {
		answer, changed, refusal := a.now()
		if refusal != nil {
			return refusal
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// Answer makes the message of an SVID and bundles.
func Answer(svid tls.Certificate, bundle []*x509.Certificate, federated map[string][]*x509.Certificate) (*workload.X509SVIDResponse, error) {
	leaf, err := x509.ParseCertificate(svid.Certificate[0])
	if err != nil {
		return nil, err
	}
	if len(leaf.URIs) != 1 {
		return nil, fmt.Errorf("the SVID has %d URI names", len(leaf.URIs))
	}
	key, err := x509.MarshalPKCS8PrivateKey(svid.PrivateKey)
	if err != nil {
		return nil, err
	}
	given := &workload.X509SVID{SpiffeId: leaf.URIs[0].String(), X509SvidKey: key, Bundle: raw(bundle)}
	for _, der := range svid.Certificate {
		given.X509Svid = append(given.X509Svid, der...)
	}
	answer := &workload.X509SVIDResponse{Svids: []*workload.X509SVID{given}, FederatedBundles: make(map[string][]byte)}
	for domain, bundle := range federated {
		id := url.URL{Scheme: "spiffe", Host: domain}
		answer.FederatedBundles[id.String()] = raw(bundle)
	}
	return answer, nil
}

func raw(all []*x509.Certificate) []byte {
	var out []byte
	for _, c := range all {
		out = append(out, c.Raw...)
	}
	return out
}
