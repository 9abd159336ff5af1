package bootstrap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/bootstrap"
	"github.com/zproxy/zproxy/internal/keys"
	"github.com/zproxy/zproxy/internal/sandbox"
	"github.com/zproxy/zproxy/internal/zitadel"
)

// breaking is a way to ZITADEL that is cut at one request: before it, or after
// it so that only the answer is lost.
type breaking struct {
	mu    sync.Mutex
	seen  int
	at    int // 0: never
	after bool
}

var errCut = errors.New("the connection was cut")

func (b *breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.seen++
	cut := b.seen == b.at
	b.mu.Unlock()
	if cut && !b.after {
		return nil, errCut
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && cut {
		_ = res.Body.Close()
		return nil, errCut
	}
	return res, err
}

// pair is one for all: making one takes a while.
var pair = sync.OnceValues(keys.Generate)

func start(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// plan is one service user of this name that is to manage users.
func plan(s *sandbox.Sandbox, name, dir string, way http.RoundTripper, token string) (bootstrap.Plan, *bytes.Buffer) {
	client, out := zitadel.New(s.Issuer(), nil, way), new(bytes.Buffer)
	keeper := &keys.Keeper{
		File:   filepath.Join(dir, name+".json"),
		Tokens: serviceuser.Config{Name: name, Issuer: s.Issuer(), Transport: way}, Registry: client,
		Plan: keys.Plan{Lifetime: time.Hour}, Generate: pair,
	}
	return bootstrap.Plan{
		Issuer: s.Issuer(), Client: client, Token: []string{"Bearer " + token}, Out: out,
		Users: []bootstrap.User{{Name: name, Keeper: keeper, Grants: []bootstrap.Grant{{OwnOrganization: true, Roles: []string{"ORG_USER_MANAGER"}}}}},
	}, out
}

func TestRunThatWasCutAtAnyRequestIsTakenUp(t *testing.T) {
	s := start(t)
	token := s.AddPAT(s.AddMachineUser("admin", "IAM_OWNER"))
	requests := 0
	for n := 1; requests == 0 || n <= requests; n++ {
		for _, after := range []bool{false, true} {
			name, dir := fmt.Sprintf("user-%d-%t", n, after), t.TempDir()
			way := &breaking{at: n, after: after}
			first, _ := plan(s, name, dir, way, token)
			err := first.Run(context.Background())
			if err == nil { // there are fewer requests
				requests = n
			}
			if requests == 0 && !strings.Contains(err.Error(), errCut.Error()) && !strings.Contains(err.Error(), "whole answer") {
				t.Errorf("%s: cut off for another reason: %v", name, err)
			}
			again, out := plan(s, name, dir, http.DefaultTransport, token)
			if err := again.Run(context.Background()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			id := s.Users()[name]
			if got := len(s.Keys(id)); got != 1 {
				t.Errorf("%s: %d keys\n%s", name, got, out)
			}
			if got := s.Roles(id); len(got) != 1 || len(got["organization "+sandbox.Organization]) != 1 {
				t.Errorf("%s: roles %v", name, got)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*.rotation")); err != nil || len(left) > 0 {
				t.Errorf("%s: left %v, %v", name, left, err)
			}
		}
	}
	if requests < 10 {
		t.Errorf("%d requests were cut, want all of a run", requests)
	}
}

func TestDryRunOnlyReads(t *testing.T) {
	s, dir := start(t), t.TempDir()
	token := s.AddPAT(s.AddMachineUser("admin", "IAM_OWNER"))
	p, out := plan(s, "zproxy", dir, http.DefaultTransport, token)
	p.DryRun = true
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Requests() {
		method := r.Operation[strings.LastIndex(r.Operation, "/")+1:]
		if r.Operation != "" && !strings.HasPrefix(method, "List") && !strings.HasPrefix(method, "Get") {
			t.Errorf("%s was called", r.Operation)
		}
	}
	if s.TokenRequests() != 0 || strings.Count(out.String(), "would call") != 3 {
		t.Errorf("%d token requests\n%s", s.TokenRequests(), out)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// No token, of whatever kind, and no key stands in what is told.
func TestNothingSecretIsTold(t *testing.T) {
	s, dir := start(t), t.TempDir()
	token := s.AddPAT(s.AddMachineUser("admin", "IAM_OWNER"))
	p, out := plan(s, "zproxy", dir, http.DefaultTransport, token)
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, token) || strings.Contains(text, "PRIVATE") || strings.Contains(text, "Bearer") {
		t.Error(text)
	}
	for _, r := range s.Requests() {
		if strings.Contains(r.Message, "PRIVATE") || strings.Contains(r.Message, "UFJJVkFURS") {
			t.Errorf("%s carries a private key", r.Operation)
		}
	}
}

func TestFaultsOfZITADELAreTold(t *testing.T) {
	s, dir := start(t), t.TempDir()
	token := s.AddPAT(s.AddMachineUser("admin", "IAM_OWNER"))
	for status, want := range map[int]string{
		429: "zitadel asks for fewer requests; run it again in a minute",
		500: "zitadel reports a fault of its own (500 the sandbox was told to fail); run it again; look into its log if that stays",
	} {
		s.FailAPI(status, 1, 0)
		p, _ := plan(s, "zproxy", dir, http.DefaultTransport, token)
		if err := p.Run(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestTokensAreReadBareOrNotAtAll(t *testing.T) {
	for text, good := range map[string]bool{
		"abc\n": true, " abc ": true, "": false, "\n": false, "{}": false, "a b": false, "a\nb": false, strings.Repeat("a", 17<<10): false,
	} {
		token, err := bootstrap.ReadToken("-", strings.NewReader(text))
		if (err == nil) != good || good && token[0] != "Bearer abc" {
			t.Errorf("%.9q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "a b") {
			t.Errorf("%q shows the token", err)
		}
	}
	if _, err := bootstrap.ReadToken(filepath.Join(t.TempDir(), "absent"), nil); err == nil {
		t.Error("no file")
	}
}
