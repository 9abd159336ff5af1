package serviceuser_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// inMemory carries requests to a handler without a socket, which synctest's
// clock would not wait for. It takes as long as a request takes, in false time.
type inMemory struct {
	handler http.Handler
	delay   time.Duration
}

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	select {
	case <-time.After(m.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), strings.NewReader(string(body)))
	in.Host, in.Header = r.Host, r.Header
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	m.handler.ServeHTTP(w, in)
	return w.Result(), nil
}

// journal collects events.
type journal struct {
	mu     sync.Mutex
	events []serviceuser.Event
}

func (j *journal) note(e serviceuser.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) of(kind serviceuser.EventKind) (found []serviceuser.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// inFalseTime runs f in a bubble with a running private key JWT source.
func inFalseTime(t *testing.T, life int64, f func(t *testing.T, z *zitadel, s *serviceuser.Source, j *journal)) {
	t.Helper()
	file := writeFile(t, keyJSON(t, nil))
	synctest.Test(t, func(t *testing.T) {
		z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
		z.life.Store(life)
		j := &journal{}
		s := mustNew(t, serviceuser.Config{
			Issuer: mustURL(t, issuer), Transport: inMemory{z, 20 * time.Millisecond}, Observe: j.note,
		}, serviceuser.PrivateKeyJWT(file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		f(t, z, s, j)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestTokensAreRefreshedAtTwoThirdsOfTheirLife(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		start := time.Now()
		mustFirst(t, s)
		for time.Since(start) < 6*time.Hour {
			if tok, err := s.Token(); err != nil || time.Until(tok.Expiry) < 15*time.Minute {
				t.Fatalf("after %v: %v, %v", time.Since(start), tok, err)
			}
			time.Sleep(10 * time.Second)
		}
		times := z.requestTimes()
		for i := 1; i < len(times); i++ {
			if d := times[i].Sub(times[i-1]); d < 35*time.Minute || d > 43*time.Minute {
				t.Errorf("refresh after %v of an hour", d)
			}
		}
		if len(times) < 8 || len(times) > 11 {
			t.Errorf("%d requests in 6 hours", len(times))
		}
	})
}

func TestAnEndedTokenIsNeverHandedOut(t *testing.T) {
	inFalseTime(t, 600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		tok := mustFirst(t, s)
		z.setAnswer(refuse(503, "", ""))
		served := 0
		for time.Until(tok.Expiry) > -time.Minute {
			got, err := s.Token()
			switch {
			case err == nil && !time.Now().Before(got.Expiry):
				t.Fatal("an ended token was handed out")
			case err == nil:
				served++
			case time.Until(tok.Expiry) > 10*time.Second:
				t.Fatalf("the token was withdrawn %v before its end", time.Until(tok.Expiry))
			case !strings.Contains(err.Error(), `service user "reader" has no usable access token: ZITADEL is not available at the moment (503)`):
				t.Fatalf("error %q", err)
			}
			time.Sleep(time.Second)
		}
		if served < 580 {
			t.Errorf("served %d of 600 s while refreshes failed", served)
		}
		if st := s.Status(); st.Ready || st.Err == nil || !st.Expiry.IsZero() || st.Next.IsZero() {
			t.Errorf("status %+v", st)
		}
	})
}

// A sleeping machine's monotonic clock stands still, its wall clock does not.
func TestATokenThatEndedWhileTheMachineSleptIsNotHandedOut(t *testing.T) {
	var asleep time.Duration
	_, cfg := serve(t)
	var mu sync.Mutex
	cfg.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(asleep) }
	z, cfg2 := serve(t)
	z.setAnswer(grantToken("tok", 60))
	cfg.Address = cfg2.Address
	s := mustNew(t, cfg, serviceuser.ClientCredentials("x", writeFile(t, "x")))
	run(t, s)
	old := mustFirst(t, s)
	mu.Lock()
	asleep = time.Hour
	mu.Unlock()
	if tok, err := s.Token(); err == nil {
		t.Errorf("token of generation %d handed out an hour after its end", tok.Generation)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		if tok, err := s.Token(); err == nil && tok.Generation > old.Generation {
			return // the loop noticed without being told
		}
		select {
		case <-ctx.Done():
			t.Fatal("no fetch after waking up")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The tries of a source that failed in the far future must not wait for it.
func TestAClockThatIsSetBackDoesNotDelayTheNextFetch(t *testing.T) {
	z, cfg := serve(t)
	var mu sync.Mutex
	ahead := 24 * time.Hour
	cfg.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(ahead) }
	z.setAnswer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s := mustNew(t, cfg, serviceuser.ClientCredentials("x", writeFile(t, "x")))
	run(t, s)
	if _, err := first(t, s); err == nil {
		t.Fatal("a token came from an endpoint that is down")
	}
	z.setAnswer(grantToken("tok", 60))
	mu.Lock()
	ahead = 0
	mu.Unlock()
	within(t, "a token", func() bool { _, err := s.Token(); return err == nil })
}

func TestAColdStartCostsOneFetch(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	synctest.Test(t, func(t *testing.T) {
		z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: inMemory{z, time.Second}}, serviceuser.PrivateKeyJWT(file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				start := time.Now()
				if _, err := s.Token(); err == nil || time.Since(start) != 0 {
					t.Errorf("Token waited %v for %v", time.Since(start), err)
				}
				if tok, err := s.Next(ctx, nil); err != nil || tok.Generation != 1 {
					t.Errorf("Next: %v, %v", tok, err)
				}
			})
		}
		wg.Wait()
		if n := z.requests.Load(); n != 1 {
			t.Errorf("%d token requests", n)
		}
		cancel()
		<-done
	})
}

func TestALifetimeCountsFromTheRequest(t *testing.T) {
	file := writeFile(t, "x")
	for life, want := range map[int64]string{600: "", 3: "had ended before the token endpoint's answer arrived"} {
		synctest.Test(t, func(t *testing.T) {
			s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: inMemory{grantToken("tok", life), 5 * time.Second}},
				serviceuser.ClientCredentials("x", file))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			start := time.Now()
			go func() { done <- s.Run(ctx) }()
			tok, err := s.Next(ctx, nil)
			switch {
			case want != "":
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			case err != nil || !tok.Expiry.Equal(start.Add(10*time.Minute)):
				t.Errorf("token %v, %v", tok, err)
			}
			cancel()
			<-done
		})
	}
}

func TestSystemTokensAreRenewedEveryFewMinutes(t *testing.T) {
	file := writeFile(t, pkcs1(testKey()))
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, serviceuser.Config{}, serviceuser.SystemUser("platform", file, issuer))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(time.Hour)
		tok, err := s.Token()
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(tok.Expiry); left < 54*time.Minute {
			t.Errorf("%v left", left)
		}
		if tok.Generation < 11 || tok.Generation > 15 {
			t.Errorf("%d tokens in an hour", tok.Generation)
		}
		cancel()
		<-done
	})
}

func TestRunRunsOnce(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, _ *zitadel, s *serviceuser.Source, _ *journal) {
		if err := s.Run(t.Context()); !errors.Is(err, serviceuser.ErrRunning) {
			t.Errorf("second Run: %v", err)
		}
	})
}

func TestAStoppedSourceServesItsTokenAndFetchesNoMore(t *testing.T) {
	z, cfg := serve(t)
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
	stop := run(t, s)
	tok := mustFirst(t, s)
	stop()
	if got, err := s.Token(); got != tok || err != nil {
		t.Errorf("after the stop: %v, %v", got, err)
	}
	if n := z.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestAKeyThatEndsSoonIsReported(t *testing.T) {
	z, cfg := serve(t)
	j := &journal{}
	cfg.Observe = j.note
	soon := time.Now().Add(20 * 24 * time.Hour).UTC().Format(time.RFC3339)
	s := mustNew(t, cfg, serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, map[string]any{"expirationDate": soon}))))
	stop := run(t, s)
	mustFirst(t, s)
	stop()
	if e := j.of(serviceuser.CredentialExpiring); len(e) != 1 || e[0].Expiry.Format(time.RFC3339) != soon {
		t.Errorf("events %v", e)
	}
	if z.crowd.Load() != 1 {
		t.Errorf("%d requests at once", z.crowd.Load())
	}
}

// removeFile takes a credential away.
func removeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
