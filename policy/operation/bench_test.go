package operation_test

import (
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
)

func restRequest() operation.Request {
	return operation.Request{Method: "POST", Target: "/v2/users/273950273950273950/deactivate", ContentType: "application/json"}
}

func rpcRequest() operation.Request {
	return operation.Request{Method: "POST", Target: "/zitadel.user.v2.UserService/ListUsers", ContentType: "application/grpc"}
}

func benchmark(b *testing.B, in operation.Request) {
	c := catalogue(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Resolve(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolveREST(b *testing.B) { benchmark(b, restRequest()) }

func BenchmarkResolveRPC(b *testing.B) { benchmark(b, rpcRequest()) }

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if err := operation.LoadAgain(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestResolvingAllocatesForVariablesOnly(t *testing.T) {
	c := catalogue(t)
	for in, want := range map[operation.Request]float64{
		restRequest(): 1,
		rpcRequest():  0,
		{Method: "POST", Target: "/v2/users", ContentType: "application/json"}: 0,
	} {
		got := testing.AllocsPerRun(100, func() {
			if _, err := c.Resolve(in); err != nil {
				t.Error(err)
			}
		})
		if got > want {
			t.Errorf("%s %s: %v allocations, want at most %v", in.Method, in.Target, got, want)
		}
	}
}
