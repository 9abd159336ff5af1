package operation_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/zproxy/zproxy/policy/operation"
)

// oracle is grpc-gateway's own mux with the bindings of the catalogue, in the
// order in which ZITADEL's generated code registers them.
type oracle struct {
	mux *runtime.ServeMux
}

// outcome is what the mux did with a request.
type outcome struct {
	name      operation.Name // "" when no binding was reached
	variables map[string]string
}

type outcomeWriter struct {
	*httptest.ResponseRecorder
	outcome outcome
}

func newOracle(t testing.TB, c *operation.Catalogue) *oracle {
	t.Helper()
	mux := runtime.NewServeMux()
	for _, op := range c.Operations() {
		if !strings.HasPrefix(string(op.Name), "zitadel.") {
			continue
		}
		for _, r := range op.Routes {
			err := mux.HandlePath(r.Method, r.Template, func(w http.ResponseWriter, _ *http.Request, variables map[string]string) {
				w.(*outcomeWriter).outcome = outcome{op.Name, variables}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return &oracle{mux}
}

// ask gives the mux a request as a server would parse it; ok is false when
// net/http would not let the target through.
func (o *oracle) ask(method, target string) (outcome, bool) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return outcome{}, false
	}
	w := &outcomeWriter{ResponseRecorder: httptest.NewRecorder()}
	o.mux.ServeHTTP(w, &http.Request{Method: method, URL: u, Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody})
	return w.outcome, true
}

func catalogue(t testing.TB) *operation.Catalogue {
	t.Helper()
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// forwarded is the target that goes upstream.
func forwarded(r operation.Resolved) string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

// agrees fails unless what c resolved is what the mux does with what is
// forwarded and with the target as it came, and resolving again changes nothing.
func (o *oracle) agrees(t *testing.T, c *operation.Catalogue, in operation.Request, got operation.Resolved) {
	t.Helper()
	if len(got.Operation.Routes) > 0 && strings.HasPrefix(string(got.Operation.Name), "zitadel.") && got.Protocol == operation.REST {
		for _, target := range []string{in.Target, forwarded(got)} {
			want, ok := o.ask(in.Method, target)
			if !ok {
				t.Errorf("%s %q: resolved to %s, and net/http would not parse %q", in.Method, in.Target, got.Operation.Name, target)
				continue
			}
			if want.name != got.Operation.Name {
				t.Errorf("%s %q: resolved to %s, the gateway performs %q for %q", in.Method, in.Target, got.Operation.Name, want.name, target)
			}
			if len(want.variables) != len(got.Variables) {
				t.Errorf("%s %q: variables %v, the gateway has %v", in.Method, in.Target, got.Variables, want.variables)
			}
			for _, v := range got.Variables {
				if want.variables[v.Field] != v.Value {
					t.Errorf("%s %q: %s is %q, for the gateway %q", in.Method, in.Target, v.Field, v.Value, want.variables[v.Field])
				}
			}
		}
	}
	again, err := c.Resolve(operation.Request{Method: in.Method, Target: forwarded(got), ContentType: in.ContentType})
	if err != nil {
		t.Errorf("%s %q: what is forwarded, %q, does not resolve: %v", in.Method, in.Target, forwarded(got), err)
		return
	}
	if again.Operation != got.Operation || again.Path != got.Path || again.Query != got.Query || again.Protocol != got.Protocol || len(again.Variables) != len(got.Variables) {
		t.Errorf("%s %q: resolving what is forwarded gives %+v, first it was %+v", in.Method, in.Target, again, got)
	}
	for i := range again.Variables {
		if again.Variables[i] != got.Variables[i] {
			t.Errorf("%s %q: variable %v becomes %v", in.Method, in.Target, got.Variables[i], again.Variables[i])
		}
	}
}
