package acme

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// The pace is not exported, and at its full length no test could wait for it.

func TestPausesGrowToTheirLimits(t *testing.T) {
	for range 200 {
		for failures := range 100 {
			if d := pause(failures, false, 0); d < 750*time.Millisecond || d > 20*time.Second {
				t.Fatalf("after %d failures: %v", failures, d)
			}
			if d := pause(failures, true, 0); d < 45*time.Second || d > 15*time.Minute {
				t.Fatalf("after %d refusals: %v", failures, d)
			}
			if d := pause(failures, true, 8*time.Minute); d > 75*time.Second {
				t.Fatalf("after %d refusals, 8 minutes before the end: %v", failures, d)
			}
			if d := pause(failures, true, time.Second); d < 12*time.Second || d > 20*time.Second {
				t.Fatalf("after %d refusals, a second before the end: %v", failures, d)
			}
		}
		if d := pause(1, false, time.Hour); d > 1250*time.Millisecond {
			t.Fatalf("after the first failure: %v", d)
		}
	}
}

func TestRefusalsAreToldFromTrouble(t *testing.T) {
	for _, f := range []struct {
		err  error
		want bool
	}{
		{errors.New("dial tcp: connection refused"), false},
		{acme.Problem{Type: acme.ProblemTypeBadNonce, Status: 400}, false},
		{acme.Problem{Type: acme.ProblemTypeServerInternal, Status: 500}, false},
		{acme.Problem{Type: "about:blank", Status: 503}, false},
		{acme.Problem{Type: acme.ProblemTypeRateLimited, Status: 429}, true},
		{acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: 403}, true},
		{acme.Problem{Type: acme.ProblemTypeRejectedIdentifier, Status: 400}, true},
	} {
		if got := refused(fmt.Errorf("asking: %w", f.err)); got != f.want {
			t.Errorf("%v: %v", f.err, got)
		}
	}
}
