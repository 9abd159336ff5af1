package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTourGoesAsItTells(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out, "127.0.0.1:0", true); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"200 OK", "PermissionDenied: no rule allows", "own_service_user", "not_canonical", "no_user_token", "That is all"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tour does not tell %q", want)
		}
	}
}

func TestDemoServesUntilItIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	out := &stopping{at: "keeps serving", stop: cancel}
	go func() { ended <- run(ctx, out, "127.0.0.1:0", false) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		cancel()
		t.Fatal("the demo has not ended")
	}
}

// stopping stops the demo once it has said what it waits for.
type stopping struct {
	text strings.Builder
	at   string
	stop func()
}

func (s *stopping) Write(p []byte) (int, error) {
	n, err := s.text.Write(p)
	if strings.Contains(s.text.String(), s.at) {
		s.stop()
	}
	return n, err
}
