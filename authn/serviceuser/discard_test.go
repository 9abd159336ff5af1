package serviceuser_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

func TestARefusedTokenIsReplacedByOneFetch(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, j *journal) {
		tok := mustFirst(t, s)
		var wg sync.WaitGroup
		for range 50 { // fifty requests met the 401
			wg.Go(func() {
				s.Discard(tok)
				if _, err := s.Token(); err == nil {
					t.Error("a discarded token was handed out")
				}
				next, err := s.Next(t.Context(), tok)
				if err != nil || next.Generation != 2 {
					t.Errorf("Next: %v, %v", next, err)
				}
			})
		}
		wg.Wait()
		if n := z.requests.Load(); n != 2 {
			t.Errorf("%d token requests", n)
		}
		if e := j.of(serviceuser.TokenDiscarded); len(e) != 1 || e[0].Generation != 1 {
			t.Errorf("events %v", e)
		}
	})
}

func TestALateDiscardDoesNotTouchTheNewerToken(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		old := mustFirst(t, s)
		s.Discard(old)
		fresh, err := s.Next(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		s.Discard(old)
		s.Discard(nil)
		s.Discard(&serviceuser.Token{Generation: fresh.Generation})
		if got, err := s.Token(); got != fresh || err != nil {
			t.Errorf("token %v, %v", got, err)
		}
		time.Sleep(time.Minute)
		if n := z.requests.Load(); n != 2 {
			t.Errorf("%d token requests", n)
		}
	})
}

// A user without rights to the API's audience gets tokens that are all refused.
func TestTokensThatAreRefusedAtOnceDoNotCauseAStorm(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		mustFirst(t, s)
		for start := time.Now(); time.Since(start) < 10*time.Minute; time.Sleep(10 * time.Millisecond) {
			if tok, err := s.Token(); err == nil {
				s.Discard(tok)
			}
		}
		if n := z.requests.Load(); n > 35 || n < 15 {
			t.Errorf("%d token requests in 10 minutes", n)
		}
		_, err := s.Next(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "refused the last one (401)") {
			t.Errorf("Next between two tries: %v", err)
		}
	})
}

func TestNextDoesNotWaitForTheTryAfterAFailedOne(t *testing.T) {
	inFalseTime(t, 3600, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
		tok := mustFirst(t, s)
		z.setAnswer(refuse(400, "invalid_request", "Errors.User.NotActive"))
		s.Discard(tok)
		start := time.Now()
		_, err := s.Next(t.Context(), tok)
		if d := time.Since(start); d > 50*time.Millisecond {
			t.Errorf("Next took %v", d)
		}
		if err == nil || err.Error() != `service user "reader" has no usable access token: the service user is locked or deactivated` {
			t.Errorf("error %v", err)
		}
	})
}

func TestNextWaitsForTheFetchUnderWay(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	synctest.Test(t, func(t *testing.T) {
		z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: inMemory{z, 2 * time.Second}}, serviceuser.PrivateKeyJWT(file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		tok, err := s.Next(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Discard(tok)
		short, end := context.WithTimeout(ctx, time.Second)
		defer end()
		if _, err := s.Next(short, tok); err == nil {
			t.Error("Next outlived its context")
		}
		if next, err := s.Next(ctx, tok); err != nil || next.Generation != 2 {
			t.Errorf("Next: %v, %v", next, err)
		}
		if n := z.requests.Load(); n != 2 {
			t.Errorf("%d requests", n)
		}
		cancel()
		<-done
	})
}

func TestARefusedPersonalAccessTokenIsTriedAgainAfterAPause(t *testing.T) {
	file := writeFile(t, "pat-1\n")
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, serviceuser.Config{}, serviceuser.PersonalAccessToken(file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		tok, err := s.Next(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Discard(tok)
		start := time.Now()
		if _, err := s.Next(ctx, tok); err == nil || time.Since(start) != 0 {
			t.Errorf("Next waited %v for a token that cannot be another: %v", time.Since(start), err)
		}
		time.Sleep(2 * time.Second)
		if again, err := s.Token(); err != nil || again.Generation != 2 {
			t.Errorf("after the pause: %v, %v", again, err)
		}
		used := 0
		for start := time.Now(); time.Since(start) < 10*time.Minute; time.Sleep(10 * time.Millisecond) {
			if tok, err := s.Token(); err == nil {
				used++
				s.Discard(tok)
			}
		}
		if used > 35 {
			t.Errorf("a dead token was used %d times in 10 minutes", used)
		}
		replaceFile(t, file, "pat-2")
		time.Sleep(2 * time.Second)
		if tok, err := s.Token(); err != nil || tok.Authorization[0] != "Bearer pat-2" {
			t.Errorf("after the replacement: %v, %v", tok, err)
		}
		cancel()
		<-done
	})
}

func TestARefusedSystemTokenIsSignedAnew(t *testing.T) {
	file := writeFile(t, pkcs1(testKey()))
	synctest.Test(t, func(t *testing.T) {
		s := mustNew(t, serviceuser.Config{}, serviceuser.SystemUser("platform", file, issuer))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		tok, err := s.Next(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		s.Discard(tok)
		next, err := s.Next(ctx, tok)
		if err != nil || next.Generation != 2 || next.Authorization[0] == tok.Authorization[0] {
			t.Errorf("Next: %v, %v", next, err)
		}
		cancel()
		<-done
	})
}
