package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/policy"
)

func TestRefusedTokenIsReplacedOnceAndTheRequestRepeated(t *testing.T) {
	up := &seen{answer: func(w http.ResponseWriter, n int) {
		w.Header().Set("Content-Type", "application/json")
		if n == 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, "{}")
	}}
	g := newGateway(t, up, options{})
	g.user.next = &serviceuser.Token{Authorization: []string{"Bearer fresh"}, Generation: 2}
	res, err := client(t, 1).Post(g.url+"/v2/users", "application/json", strings.NewReader(`{"query":{}}`))
	check(t, err)
	res.Body.Close()
	if res.StatusCode != 200 || len(up.all) != 2 || up.all[1].Header.Get("Authorization") != "Bearer fresh" {
		t.Fatalf("status %d after %d requests", res.StatusCode, len(up.all))
	}
	if up.bodies[0] != up.bodies[1] || up.bodies[1] != `{"query":{}}` {
		t.Errorf("bodies %q", up.bodies)
	}
	if r := g.records(t, 1)[0]; r.Attempts != 2 || g.user.discarded != 1 {
		t.Errorf("attempts %d, discarded %d", r.Attempts, g.user.discarded)
	}
}

func TestRefusedTokenIsNeverTheCallersFault(t *testing.T) {
	for name, c := range map[string]struct {
		major             int
		path, contentType string
		answer            func(w http.ResponseWriter, n int)
		status            int
		grpcStatus        string
	}{
		"REST": {1, "/v2/users", "application/json", func(w http.ResponseWriter, _ int) { w.WriteHeader(401) }, 503, ""},
		"GRPCTrailersOnly": {2, "/" + userList, "application/grpc", func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "16")
		}, 200, "14"},
		"GRPCHeaderThenTrailer": {2, "/" + userList, "application/grpc", func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("Grpc-Status", "16")
		}, 200, "14"},
	} {
		t.Run(name, func(t *testing.T) {
			up := &seen{answer: c.answer}
			g := newGateway(t, up, options{})
			body := []byte("{}")
			if c.major == 2 {
				body = framed(0, nil)
			}
			res, err := client(t, c.major).Post(g.url+c.path, c.contentType, bytes.NewReader(body))
			check(t, err)
			res.Body.Close()
			if res.StatusCode != c.status || res.Header.Get("Grpc-Status") != c.grpcStatus {
				t.Errorf("status %d, grpc-status %q", res.StatusCode, res.Header.Get("Grpc-Status"))
			}
			if r := g.records(t, 1)[0]; r.Reason != "token_refused" || len(up.all) != 1 {
				t.Errorf("record %+v after %d requests", r, len(up.all))
			}
		})
	}
}

func TestGRPCMessageAfterThePeekedByteIsWhole(t *testing.T) {
	message := framed(0, []byte("0123456789"))
	up := &seen{answer: func(w http.ResponseWriter, _ int) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write(message)
		w.Header().Set("Grpc-Status", "0")
	}}
	g := newGateway(t, up, options{})
	res, err := client(t, 2).Post(g.url+"/"+userList, "application/grpc", bytes.NewReader(framed(0, nil)))
	check(t, err)
	got, err := io.ReadAll(res.Body)
	check(t, err)
	res.Body.Close()
	if !bytes.Equal(got, message) || res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("%q, trailer %v", got, res.Trailer)
	}
	if r := g.records(t, 1)[0]; r.GRPCStatus != "0" || r.BytesOut != int64(len(message)) {
		t.Errorf("record %+v", r)
	}
}

func TestCallersOwnTokenPassesOnlyWhereTheRuleSaysSo(t *testing.T) {
	for authorization, want := range map[string]int{
		"Bearer users-own-token": 200, "": 401, "bearer x": 401, "Bearer  x": 401, "Basic eDp5": 401, "Bearer x, Bearer y": 401,
	} {
		up := new(seen)
		g := newGateway(t, up, options{rules: []policy.Rule{{
			Name: "own", Callers: []string{"anonymous:test"}, Operations: []string{ownMember}, As: policy.AsCaller,
		}}})
		r, err := http.NewRequest(http.MethodGet, g.url+"/auth/v1/users/me", nil)
		check(t, err)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		res, err := client(t, 1).Do(r)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%q: status %d, want %d", authorization, res.StatusCode, want)
		}
		if want == 200 && up.last(t).Header.Get("Authorization") != authorization {
			t.Errorf("%q arrived", up.last(t).Header.Get("Authorization"))
		}
		if strings.Contains(g.log.String(), "users-own-token") {
			t.Error("the token is in the audit log")
		}
	}
}
