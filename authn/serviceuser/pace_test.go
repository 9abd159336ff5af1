package serviceuser_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

func TestAShortFaultCostsFewRequestsAndItsEndIsNoticed(t *testing.T) {
	for range 20 { // the pauses are random
		inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, j *journal) {
			tok := mustFirst(t, s)
			z.setAnswer(refuse(503, "", ""))
			s.Discard(tok)
			before := z.requests.Load()
			time.Sleep(4 * time.Second)
			if n := z.requests.Load() - before; n > 12 || n < 3 {
				t.Errorf("%d requests in a fault of 4 s", n)
			}
			z.setAnswer(nil)
			end := time.Now()
			for {
				if _, err := s.Token(); err == nil {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			if d := time.Since(end); d > 8*time.Second {
				t.Errorf("recovery noticed after %v", d)
			}
			if len(j.of(serviceuser.FetchFailed)) < 3 {
				t.Error("failures were not reported")
			}
		})
	}
}

func TestALongFaultIsAskedAboutSteadily(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		tok := mustFirst(t, s)
		z.setAnswer(refuse(500, "server_error", "Errors.Internal"))
		s.Discard(tok)
		time.Sleep(time.Minute)
		before := z.requests.Load()
		time.Sleep(10 * time.Minute)
		if n := z.requests.Load() - before; n < 110 || n > 210 {
			t.Errorf("%d requests in 10 minutes of fault", n)
		}
	})
}

func TestRefreshesThatFailWhileATokenServesAreUnhurried(t *testing.T) {
	inFalseTime(t, 43199, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		mustFirst(t, s)
		z.setAnswer(refuse(503, "", ""))
		time.Sleep(11 * time.Hour)
		if n := z.requests.Load(); n > 400 {
			t.Errorf("%d requests", n)
		}
		st := s.Status()
		if !st.Ready || st.Err == nil {
			t.Errorf("status %+v, want ready with the failure shown", st)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, header := range map[string]func() string{
		"seconds": func() string { return "120" },
		"date":    func() string { return time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
				tok := mustFirst(t, s)
				z.setAnswer(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", header())
					w.WriteHeader(http.StatusTooManyRequests)
				})
				s.Discard(tok)
				time.Sleep(115 * time.Second)
				if n := z.requests.Load(); n != 2 {
					t.Errorf("%d requests, want 2", n)
				}
				z.setAnswer(nil)
				time.Sleep(10 * time.Second)
				if _, err := s.Token(); err != nil {
					t.Errorf("after Retry-After: %v", err)
				}
			})
		})
	}
}

func TestAnAbsurdRetryAfterIsBounded(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		tok := mustFirst(t, s)
		z.setAnswer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "2000000000")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		s.Discard(tok)
		time.Sleep(time.Minute)
		z.setAnswer(nil)
		time.Sleep(5 * time.Minute)
		if _, err := s.Token(); err != nil {
			t.Errorf("after 6 minutes: %v", err)
		}
	})
}

func TestAnEndpointThatHangsIsGivenUp(t *testing.T) {
	file := writeFile(t, "secret")
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: inMemory{nil, time.Hour}},
			serviceuser.ClientCredentials("x", file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		start := time.Now()
		_, err := s.Next(t.Context(), nil)
		if d := time.Since(start); d != 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", d, err)
		}
		time.Sleep(5 * time.Second) // in the midst of the next request
		start = time.Now()
		cancel()
		if err := <-done; err != nil || time.Since(start) != 0 {
			t.Errorf("Run ended after %v with %v", time.Since(start), err)
		}
	})
}
