// Package spiffe keeps the X.509-SVID and the trust bundles that the SPIFFE
// Workload API gives this process
// (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md).
//
// Nothing waits for the agent: handshakes are answered from memory, or refused
// with the reason while there is no SVID. An agent that goes away takes nothing
// with it, and the last SVID serves until its end; an agent that says that this
// process is entitled to none takes all of it back at once (section 5.2.1).
package spiffe

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
)

// Config says where the agent is.
type Config struct {
	// WorkloadAPI is the agent's socket, such as "unix:///run/spire/agent.sock".
	// No other kind of address will do: the private key comes over it.
	WorkloadAPI string
	// Log is told of what comes and of what fails.
	Log zerolog.Logger
	// Updated, if not nil, is called after each answer that changed something,
	// by the goroutine of [Source.Run].
	Updated func()
	// Clock tells the time that validity is judged at. If nil, [time.Now].
	Clock func() time.Time
}

// Source holds what the Workload API gave last. It is safe for concurrent use.
type Source struct {
	config  Config
	current atomic.Pointer[material] // never nil
	first   sync.Once
	asked   chan struct{} // closed when there was an answer, of whatever kind

	mu       sync.Mutex
	err      error // why the last attempt failed, or what is wrong with the last answer
	failures int   // in a row
}

// New returns a Source that has nothing yet. It connects to nothing; [Source.Run] does.
func New(c Config) (*Source, error) {
	if err := CheckAddress(c.WorkloadAPI); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	s := &Source{config: c, asked: make(chan struct{})}
	s.current.Store(new(material))
	return s, nil
}

// CheckAddress returns nil for "unix:///path", and else why it is no address of
// an agent.
func CheckAddress(address string) error {
	path, ok := strings.CutPrefix(address, "unix://")
	if !ok || !strings.HasPrefix(path, "/") || path != filepath.Clean(path) || path == "/" || strings.ContainsAny(path, "?#%") {
		return fmt.Errorf("%q is not the socket of a SPIFFE agent; write unix:///run/spire/agent.sock", address)
	}
	return workloadapi.ValidateAddress(address)
}

// Run asks the Workload API, and goes on asking, until ctx ends. It returns nil then.
func (s *Source) Run(ctx context.Context) error {
	client, err := workloadapi.New(ctx, workloadapi.WithAddr(s.config.WorkloadAPI), workloadapi.WithBackoffStrategy(pace{}),
		workloadapi.WithDialOptions(grpc.WithConnectParams(connecting)))
	if err != nil {
		return fmt.Errorf("preparing to ask the SPIFFE Workload API at %s: %w", s.config.WorkloadAPI, err)
	}
	defer client.Close()
	again := pace{}.NewBackoff()
	for ctx.Err() == nil {
		// The client takes some answers for final, such as Canceled, which an agent
		// gives that is being restarted.
		_ = client.WatchX509Context(ctx, &watcher{s, ctx})
		select {
		case <-ctx.Done():
		case <-time.After(again.Next()):
		}
	}
	return nil
}

// First waits until the Workload API has answered once, or was found
// unreachable, or ctx ends.
func (s *Source) First(ctx context.Context) {
	select {
	case <-s.asked:
	case <-ctx.Done():
	}
}

// errNone is of a source that was not asked long enough.
var errNone = errors.New("it has not answered yet")

// Err is why the last attempt to ask failed, or what was wrong with the last
// answer; nil while all is well.
func (s *Source) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
