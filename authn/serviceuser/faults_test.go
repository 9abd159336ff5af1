package serviceuser_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// faulty are the ways in which a token endpoint fails, each for as long as it lasts.
func faulty() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"500":                   refuse(500, "server_error", "Errors.Internal"),
		"502":                   raw(502, "text/html", "<html>"),
		"503":                   refuse(503, "", ""),
		"429":                   refuse(429, "", ""),
		"429 and when":          after("1", refuse(429, "", "")),
		"locked":                refuse(400, "invalid_request", "Errors.User.NotActive"),
		"redirect":              raw(302, "text/html", ""),
		"not JSON":              raw(200, "text/html", "<html>"),
		"damaged JSON":          raw(200, "application/json", `{"access_token":`),
		"wrong types":           raw(200, "application/json", `{"access_token":{"a":1},"token_type":7,"expires_in":[]}`),
		"another type":          raw(200, "application/json", `{"access_token":"a","token_type":"DPoP","expires_in":60}`),
		"ended already":         raw(200, "application/json", `{"access_token":"a","token_type":"Bearer","expires_in":0}`),
		"ended long ago":        raw(200, "application/json", `{"access_token":"a","token_type":"Bearer","expires_in":-1e9}`),
		"huge":                  raw(200, "application/json", `{"access_token":"`+strings.Repeat("a", 1<<20)+`"}`),
		"hangs up":              hangUp,
		"never answers":         dark,
		"answers after 2 s":     late(2*time.Second, refuse(503, "", "")),
		"stops in its answer":   stalls,
		"token of another sort": raw(200, "application/json", `{"access_token":"a b","token_type":"Bearer","expires_in":60}`),
	}
}

func after(seconds string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", seconds)
		h(w, r)
	}
}

// fault is what no handler can play; see [breaking].
type fault string

func (f fault) Error() string { return string(f) }

func hangUp(http.ResponseWriter, *http.Request) { panic(fault("closed")) }
func dark(http.ResponseWriter, *http.Request)   { panic(fault("dark")) }
func stalls(http.ResponseWriter, *http.Request) { panic(fault("stalls")) }

func late(d time.Duration, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			h(w, r)
		case <-r.Context().Done():
		}
	}
}

// breaking carries requests in memory and plays the faults that no handler can.
type breaking struct{ inMemory }

func (b breaking) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case fault("closed"):
			err = io.ErrUnexpectedEOF
		case fault("dark"):
			<-r.Context().Done()
			err = r.Context().Err()
		case fault("stalls"):
			res, err = &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: stalled{r.Context()}}, nil
		default:
			panic(v)
		}
	}()
	return b.inMemory.RoundTrip(r)
}

// stalled is a body that does not go on.
type stalled struct{ context.Context }

func (s stalled) Read([]byte) (int, error) { <-s.Done(); return 0, s.Err() }
func (stalled) Close() error               { return nil }

// Whatever kind of fault it is: it costs at most 12 requests in 4 s, a request
// that asks for the token is answered at once and gets the reason, and the
// source is back within 8 s of the end.
func TestEveryFaultOfFourSecondsIsCheapAndItsEndIsNoticed(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	for name, answer := range faulty() {
		for range 5 { // the pauses are random
			synctest.Test(t, func(t *testing.T) {
				z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
				s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: breaking{inMemory{z, 20 * time.Millisecond}}},
					serviceuser.PrivateKeyJWT(file))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- s.Run(ctx) }()
				s.Discard(mustFirst(t, s))
				z.setAnswer(answer)
				before, start := z.requests.Load(), time.Now()
				for time.Since(start) < 4*time.Second {
					asked := time.Now()
					if tok, err := s.Token(); err == nil {
						t.Fatalf("%s: token of generation %d", name, tok.Generation)
					}
					if time.Since(asked) != 0 {
						t.Fatalf("%s: Token waited", name)
					}
					time.Sleep(50 * time.Millisecond)
				}
				if n := z.requests.Load() - before; n > 12 || n < 1 {
					t.Errorf("%s: %d requests in 4 s", name, n)
				}
				z.setAnswer(nil)
				end := time.Now()
				for {
					if tok, err := s.Token(); err == nil {
						if !strings.HasPrefix(tok.Authorization[0], "Bearer opaque-") {
							t.Errorf("%s: a token of the fault's", name)
						}
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
				if d := time.Since(end); d > 8*time.Second {
					t.Errorf("%s: recovery noticed after %v", name, d)
				}
				cancel()
				<-done
			})
		}
	}
}

// An endpoint that needs five seconds is slow, not down.
func TestASlowEndpointStillGivesTokens(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	synctest.Test(t, func(t *testing.T) {
		z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: slow{inMemory{z, 0}, 5 * time.Second}}, serviceuser.PrivateKeyJWT(file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		start := time.Now()
		go func() { done <- s.Run(ctx) }()
		tok, err := s.Next(ctx, nil)
		if err != nil || time.Since(start) != 5*time.Second {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		if life := tok.Expiry.Sub(start); life != 43199*time.Second {
			t.Errorf("the lifetime counts from %v after the request", life-43199*time.Second)
		}
		cancel()
		<-done
		if n := z.requests.Load(); n > 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// slow takes its time with the answer.
type slow struct {
	http.RoundTripper
	delay time.Duration
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.RoundTripper.RoundTrip(r)
	select {
	case <-time.After(s.delay):
		return res, err
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// The clocks of this machine and of ZITADEL, which takes an assertion for a
// fault of its own if its times do not please it.
func TestAssertionsMakeUpForAClockThatIsWrong(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	for _, off := range []time.Duration{4 * time.Second, -4 * time.Second, 30 * time.Second, -90 * time.Second, 20 * time.Minute, -59 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
			s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: inMemory{z, time.Millisecond},
				Clock: func() time.Time { return time.Now().Add(off) }}, serviceuser.PrivateKeyJWT(file))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			time.Sleep(8 * time.Second)
			tok, err := s.Token()
			if err != nil {
				t.Errorf("%v off: %v", off, err)
			} else if left := time.Until(tok.Expiry.Add(-off)); left > 43199*time.Second || left < 43180*time.Second {
				t.Errorf("%v off: the token is thought to last %v", off, left)
			}
			cancel()
			<-done
		})
	}
}

// Something before ZITADEL whose clock is wrong writes the Date.
func TestADateThatIsWrongDoesNotKeepAssertionsWrong(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	synctest.Test(t, func(t *testing.T) {
		z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
		z.setAnswer(refuse(500, "server_error", "Errors.Internal")) // a true fault of its own
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: misdated{inMemory{z, time.Millisecond}}}, serviceuser.PrivateKeyJWT(file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(time.Minute)
		z.setAnswer(nil)
		time.Sleep(12 * time.Second)
		if _, err := s.Token(); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
	})
}

type misdated struct{ http.RoundTripper }

func (m misdated) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := m.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Header.Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
	}
	return res, err
}

// Set back, the wall clock would let a token live on past its end.
func TestAClockThatIsSetBackDoesNotProlongAToken(t *testing.T) {
	file := writeFile(t, keyJSON(t, nil))
	synctest.Test(t, func(t *testing.T) {
		z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
		z.life.Store(60)
		var back atomic.Int64
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Transport: inMemory{z, time.Millisecond},
			Clock: func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }}, serviceuser.PrivateKeyJWT(file))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		first := mustFirst(t, s)
		z.setAnswer(refuse(503, "", ""))
		back.Store(int64(time.Hour))
		time.Sleep(50 * time.Second)
		if tok, err := s.Token(); tok != first || err != nil {
			t.Errorf("before its end: %v, %v", tok, err)
		}
		time.Sleep(10 * time.Second)
		if _, err := s.Token(); err == nil {
			t.Error("a token that has ended is handed out")
		}
		cancel()
		<-done
	})
}

// Lifetimes of a second or two: no token is handed out after its end, and there
// is nearly always one.
func TestShortLivedTokensServe(t *testing.T) {
	for _, life := range []int64{2, 3, 5} {
		inFalseTime(t, life, func(t *testing.T, z *zitadel, s *serviceuser.Source, _ *journal) {
			mustFirst(t, s)
			gaps := 0
			for range 600 {
				switch tok, err := s.Token(); {
				case err != nil:
					gaps++
				case !time.Now().Before(tok.Expiry):
					t.Fatal("a token that has ended was handed out")
				}
				time.Sleep(100 * time.Millisecond)
			}
			if gaps > 0 || z.requests.Load() > 70 {
				t.Errorf("life %d s: %d gaps, %d requests a minute", life, gaps, z.requests.Load())
			}
		})
	}
}

// Over real sockets: endless bodies, headers, informational answers and
// compressed bombs take no memory worth mentioning.
func TestNothingThatTheEndpointSendsFillsTheMemory(t *testing.T) {
	endless := func(write func(io.Writer) error) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			for sent := 0; sent < 1<<14 && write(c) == nil; sent++ {
			}
		}
	}
	chunk := strings.Repeat("a", 16<<10)
	var began sync.Map
	once := func(w io.Writer, head string) error {
		if _, seen := began.LoadOrStore(w, true); seen {
			return nil
		}
		_, err := io.WriteString(w, head)
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"body": func(w io.Writer) error {
			if err := once(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"access_token\":\""); err != nil {
				return err
			}
			_, err := io.WriteString(w, chunk)
			return err
		},
		"header": func(w io.Writer) error {
			if err := once(w, "HTTP/1.1 200 OK\r\n"); err != nil {
				return err
			}
			_, err := fmt.Fprintf(w, "X-%d: %s\r\n", time.Now().UnixNano(), chunk)
			return err
		},
		"informational": func(w io.Writer) error {
			_, err := io.WriteString(w, "HTTP/1.1 103 Early Hints\r\nLink: "+chunk+"\r\n\r\n")
			return err
		},
		"chunks": func(w io.Writer) error {
			if err := once(w, "HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
				return err
			}
			_, err := fmt.Fprintf(w, "%x\r\n%s\r\n", len(chunk), chunk)
			return err
		},
	} {
		at := httptest.NewServer(endless(write))
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Address: mustURL(t, at.URL)}, serviceuser.ClientCredentials("x", writeFile(t, "x")))
		stop := run(t, s)
		if _, err := first(t, s); err == nil {
			t.Errorf("%s: a token", name)
		}
		runtime.ReadMemStats(&during)
		if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
			t.Errorf("%s: the heap has grown by %d KiB", name, grown>>10)
		}
		stop()
		at.CloseClientConnections()
		at.Close()
	}
}

// A request into the dark is not waited for alone, over real sockets too.
func TestARequestIntoTheDarkIsNotWaitedForAlone(t *testing.T) {
	z := &zitadel{t: t, audience: issuer, host: "id.example.com"}
	at := httptest.NewServer(z)
	t.Cleanup(at.Close)
	var dials atomic.Int64
	var dialer net.Dialer
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			address = silent.Addr().String() // takes the request, and says nothing
		}
		return dialer.DialContext(ctx, network, address)
	}}
	s := mustNew(t, serviceuser.Config{Issuer: mustURL(t, issuer), Address: mustURL(t, at.URL), Transport: transport},
		serviceuser.PrivateKeyJWT(writeFile(t, keyJSON(t, nil))))
	run(t, s)
	start := time.Now()
	mustFirst(t, s)
	if d := time.Since(start); d > 8*time.Second || dials.Load() < 2 {
		t.Errorf("after %v and %d connections", d, dials.Load())
	}
}
