package gateway_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	userv2 "github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/user/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/gateway"
	"github.com/zproxy/zproxy/internal/sandbox"
)

// One caller asks far beyond its part of the upstream's rate: it is told when to
// try again, in its own protocol, and the others are served as before.
func TestAGreedyCallerDoesNotMoveTheOthers(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pat"), s.AddPAT(s.AddMachineUser("pat", "IAM_OWNER")))
	cfg, err := config.Parse("fair.yaml", []byte(strings.NewReplacer("$ISSUER", s.Issuer().String(), "$DIR", dir).Replace(`version: 1
upstream: {issuer: "$ISSUER", limit: {rate: 60/s, burst: 60}}
listeners:
  - {name: a, address: "127.0.0.1:0", callers: {anonymous: a}}
  - {name: b, address: "127.0.0.1:0", callers: {anonymous: b}}
  - {name: c, address: "127.0.0.1:0", callers: {anonymous: c}}
service_users: [{name: pat, personal_access_token: {token_file: "$DIR/pat", user_id: "1000000000000001"}}]
rules: [{name: r, callers: ["anonymous:a", "anonymous:b", "anonymous:c"], operations: [zitadel.user.v2.UserService/ListUsers], as: pat}]
audit: {file: "$DIR/audit.jsonl"}
`)))
	check(t, err)
	g, err := gateway.New(cfg, gateway.Options{})
	check(t, err)
	runGateway(t, g)
	url := func(listener string) string { return "http://" + g.Address(listener).String() }
	post := func(listener, path string) *http.Response {
		res, err := http.Post(url(listener)+path, "application/json", strings.NewReader("{}"))
		check(t, err)
		check(t, res.Body.Close())
		return res
	}
	post("b", "/v2/users") // known from now on
	post("c", "/v2/users")
	stop := make(chan struct{})
	var greedy sync.WaitGroup
	var refused atomic.Int64
	for range 16 { // 200 a second, ten times its part, where a slow machine lets it
		greedy.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(80 * time.Millisecond):
					if res, err := http.Post(url("a")+"/v2/users", "application/json", strings.NewReader("{}")); err == nil {
						_ = res.Body.Close()
						if res.StatusCode == http.StatusTooManyRequests {
							refused.Add(1)
						}
					}
				}
			}
		})
	}
	time.Sleep(1500 * time.Millisecond)
	for i := range 40 { // each of the others stays within 20 a second
		for _, listener := range []string{"b", "c"} {
			if res := post(listener, "/v2/users"); res.StatusCode != http.StatusOK {
				t.Errorf("call %d of %s is answered %d", i, listener, res.StatusCode)
			}
		}
		time.Sleep(60 * time.Millisecond)
	}
	for _, path := range []string{"/v2/users", "/zitadel.user.v2.UserService/ListUsers"} {
		for range 200 {
			if res := post("a", path); res.StatusCode == http.StatusTooManyRequests {
				if res.Header.Get("Retry-After") != "1" {
					t.Errorf("%s: Retry-After is %q", path, res.Header.Get("Retry-After"))
				}
				break
			}
		}
	}
	conn, err := grpc.NewClient(g.Address("a").String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	defer conn.Close()
	told := ""
	for range 200 {
		var trailer metadata.MD // of an answer without a message, all metadata is in the trailer
		_, err := userv2.NewUserServiceClient(conn).ListUsers(t.Context(), &userv2.ListUsersRequest{}, grpc.Trailer(&trailer))
		if status.Code(err) == codes.ResourceExhausted {
			told = strings.Join(trailer.Get("retry-after"), " ")
			break
		}
	}
	if told != "1" {
		t.Errorf("by gRPC it is told to try again after %q", told)
	}
	for deadline := time.Now().Add(30 * time.Second); refused.Load() < 100 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	greedy.Wait()
	if refused.Load() < 100 {
		t.Errorf("the greedy caller was refused %d times only", refused.Load())
	}
}
