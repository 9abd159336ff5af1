package spiffe_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"github.com/zproxy/zproxy/internal/spiffe"
	"github.com/zproxy/zproxy/internal/spiffe/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const id = "spiffe://acme.internal/zproxy"

// lines is a log that may be written and read at once.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// workload is a running source and its agent.
type workload struct {
	*spiffe.Source
	t       *testing.T
	agent   *agent.Agent
	acme    *authority
	log     *lines
	updates atomic.Int64
	offset  atomic.Int64
}

func run(t *testing.T, there bool) *workload {
	t.Helper()
	w := &workload{t: t, agent: agent.New(filepath.Join(t.TempDir(), "agent.sock")), acme: newAuthority(t, "Acme"), log: new(lines)}
	if there {
		check(t, w.agent.Start())
	}
	var err error
	w.Source, err = spiffe.New(spiffe.Config{
		WorkloadAPI: w.agent.Address(), Log: zerolog.New(w.log), Updated: func() { w.updates.Add(1) },
		Clock: func() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) },
	})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() { cancel(); check(t, <-ended); w.agent.Stop() })
	return w
}

func (w *workload) give(svid tls.Certificate, federated map[string][]*x509.Certificate) {
	w.t.Helper()
	check(w.t, w.agent.Give(svid, w.acme.bundle(), federated))
}

// until waits for what is to become true.
func (w *workload) until(what string, true func() bool) {
	w.t.Helper()
	for range 6000 {
		if true() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("%s: not within 30 s; %+v\n%s", what, w.Status(), w.log)
}

func (w *workload) serves(svid tls.Certificate) func() bool {
	return func() bool {
		c, err := w.Certificate(nil)
		return err == nil && bytes.Equal(c.Certificate[0], svid.Certificate[0])
	}
}

func (w *workload) fails(with string) func() bool {
	return func() bool {
		_, err := w.Certificate(nil)
		return errors.Is(err, spiffe.ErrNoCertificate) && strings.Contains(err.Error(), with)
	}
}

func (w *workload) domains() string {
	var all []string
	for _, b := range w.Bundles() {
		all = append(all, b.TrustDomain)
	}
	return strings.Join(all, " ")
}

func TestTheFirstSVIDAndAllBundlesAreTaken(t *testing.T) {
	w := run(t, true)
	first, other := w.acme.svid(t, id), w.acme.svid(t, "spiffe://acme.internal/other")
	answer, err := agent.Answer(first, w.acme.bundle(), map[string][]*x509.Certificate{"partner.example": newAuthority(t, "Partner").bundle()})
	check(t, err)
	second, err := agent.Answer(other, w.acme.bundle(), nil)
	check(t, err)
	answer.Svids = append(answer.Svids, second.Svids...)
	w.agent.Send(answer)
	w.First(t.Context())
	w.until("the first SVID", w.serves(first))
	if got := w.domains(); got != "acme.internal partner.example" {
		t.Errorf("bundles of %s", got)
	}
	if s := w.Status(); s.ID != id || !s.NotAfter.Equal(first.Leaf.NotAfter) || s.Err != nil || w.Fault() != nil {
		t.Errorf("status %+v", s)
	}
	if !strings.Contains(w.log.String(), `"spiffe_id":"`+id+`"`) {
		t.Errorf("the log says %s", w.log)
	}
}

func TestRotationsAreTakenAsTheyCome(t *testing.T) {
	w := run(t, true)
	for range 5 {
		svid := w.acme.svid(t, id)
		before := w.updates.Load()
		w.give(svid, nil)
		w.until("the next SVID", w.serves(svid))
		w.until("the callback", func() bool { return w.updates.Load() > before })
	}
	w.give(w.acme.svid(t, id), map[string][]*x509.Certificate{"partner.example": newAuthority(t, "Partner").bundle()})
	w.until("the federated bundle", func() bool { return w.domains() == "acme.internal partner.example" })
	w.give(w.acme.svid(t, id), nil)
	w.until("the bundle's withdrawal", func() bool { return w.domains() == "acme.internal" })
}

func TestAnAgentThatIsNotThereHoldsNothingUp(t *testing.T) {
	w := run(t, false)
	if _, err := w.Certificate(nil); !errors.Is(err, spiffe.ErrNoCertificate) {
		t.Errorf("before it was asked: %v", err)
	}
	w.First(t.Context())
	w.until("why", w.fails("the agent cannot be reached"))
	if w.domains() != "" || w.Status().ID != "" {
		t.Errorf("it has %s and %+v", w.domains(), w.Status())
	}
	svid := w.acme.svid(t, id)
	w.give(svid, nil)
	check(t, w.agent.Start())
	w.until("once it is there", w.serves(svid))
}

func TestAnAgentThatGoesAwayTakesNothingWithItUntilTheEnd(t *testing.T) {
	w := run(t, true)
	svid := w.acme.svid(t, id)
	w.give(svid, nil)
	w.until("an SVID", w.serves(svid))
	w.agent.Stop()
	w.until("the failure", func() bool { return w.Status().Err != nil })
	if !w.serves(svid)() || w.domains() != "acme.internal" {
		t.Errorf("gone with the agent: %v, bundles %q", w.Fault(), w.domains())
	}
	w.offset.Store(int64(2 * time.Hour))
	if !w.fails("ended at "+svid.Leaf.NotAfter.UTC().Format(time.RFC3339))() || !strings.Contains(w.Fault().Error(), "cannot be reached") {
		t.Errorf("after its end: %v", w.Fault())
	}
	w.offset.Store(0)
	next := w.acme.svid(t, id)
	w.give(next, nil)
	check(t, w.agent.Start())
	w.until("the agent's return", w.serves(next))
	w.until("that all is well", func() bool { return w.Status().Err == nil })
}

func TestAnAgentThatEntitlesToNothingTakesAllBack(t *testing.T) {
	w := run(t, true)
	w.First(t.Context())
	w.until("why", w.fails("entitles this process to no identity (no identity issued)"))
	svid := w.acme.svid(t, id)
	w.give(svid, nil)
	w.until("an SVID", w.serves(svid))
	before := w.updates.Load()
	w.agent.Refuse(codes.PermissionDenied, "entry deleted")
	w.until("its withdrawal", w.fails("entitles this process to no identity (entry deleted)"))
	w.until("the callback", func() bool { return w.updates.Load() > before })
	if w.domains() != "" {
		t.Errorf("bundles of %s stay", w.domains())
	}
	w.give(svid, nil)
	w.until("that it is given anew", w.serves(svid))
}

// The client of go-spiffe takes these for final, and an agent that is restarted gives one.
func TestNoAnswerIsFinal(t *testing.T) {
	w := run(t, true)
	for _, code := range []codes.Code{codes.Canceled, codes.InvalidArgument, codes.Unavailable, codes.Internal, codes.Unimplemented} {
		svid := w.acme.svid(t, id)
		w.give(svid, nil)
		w.until("an SVID", w.serves(svid))
		w.agent.Refuse(code, "for now")
		w.until(code.String(), func() bool { return w.Status().Err != nil })
		if !w.serves(svid)() || w.domains() != "acme.internal" {
			t.Errorf("%s took the SVID or the bundles", code)
		}
	}
	svid := w.acme.svid(t, id)
	w.give(svid, nil)
	w.until("an SVID after all", w.serves(svid))
}

func TestBadAnswersKeepTheOldAndSaySo(t *testing.T) {
	w := run(t, true)
	partner := newAuthority(t, "Partner")
	good := w.acme.svid(t, id)
	from := func(svid tls.Certificate) func() { return func() { w.give(svid, nil) } }
	for says, send := range map[string]func(){
		"ended at":        from(w.acme.svid(t, id, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })),
		"begins at":       from(w.acme.svid(t, id, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })),
		"not for servers": from(w.acme.svid(t, id, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
		"key usage":       from(w.acme.svid(t, id, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })),
		"no trust bundle": func() {
			check(t, w.agent.Give(good, nil, map[string][]*x509.Certificate{"partner.example": partner.bundle()}))
		},
		"private key": func() { other := w.acme.svid(t, id); other.PrivateKey = good.PrivateKey; w.give(other, nil) },
		"was discarded": func() {
			answer, _ := agent.Answer(good, w.acme.bundle(), nil)
			answer.Svids[0].X509Svid = []byte("garbage")
			w.agent.Send(answer)
		},
		"no SVIDs": func() {
			answer, _ := agent.Answer(good, w.acme.bundle(), nil)
			answer.Svids = nil
			w.agent.Send(answer)
		},
		"more than one URI": func() {
			other, _ := url.Parse("spiffe://acme.internal/other")
			svid := w.acme.svid(t, id)
			answer, _ := agent.Answer(svid, w.acme.bundle(), nil)
			two := w.acme.svid(t, id, func(c *x509.Certificate) { c.URIs = append(c.URIs, other) })
			answer.Svids[0].X509Svid = two.Certificate[0]
			w.agent.Send(answer)
		},
	} {
		w.give(good, nil)
		w.until("the good one", func() bool { return w.serves(good)() && w.Status().Err == nil })
		send()
		w.until(says, func() bool { return w.Status().Err != nil })
		if err := w.Status().Err; !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
		if !w.serves(good)() || w.domains() != "acme.internal" {
			t.Errorf("%s: the old is gone: %v, bundles %q", says, w.Fault(), w.domains())
		}
		if !strings.Contains(w.log.String(), says) {
			t.Errorf("%s: the log says nothing of it", says)
		}
	}
}

func TestOnlyLocalSocketsAreAsked(t *testing.T) {
	for _, address := range []string{"", "/run/agent.sock", "unix:agent.sock", "unix:///", "unix://host/agent.sock", "tcp://127.0.0.1:8081", "https://a", "unix:///a?b", "unix:///a#b", "unix:///a%20b"} {
		if s, err := spiffe.New(spiffe.Config{WorkloadAPI: address}); s != nil || err == nil || !strings.Contains(err.Error(), "unix:///run/spire/agent.sock") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
