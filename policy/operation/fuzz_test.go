package operation_test

import (
	"errors"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
)

// FuzzResolve: what is resolved is what grpc-gateway would perform, for the
// target as it came and as it is forwarded; anything else is refused.
func FuzzResolve(f *testing.F) {
	for _, k := range corpus(f) {
		f.Add(k.in.Method, k.in.Target, k.in.ContentType)
	}
	c := catalogue(f)
	for _, b := range bindings(c) {
		f.Add(b.route.Method, b.route.Template, b.contentType())
	}
	gateway := newOracle(f, c)
	f.Fuzz(func(t *testing.T, method, target, contentType string) {
		in := operation.Request{Method: method, Target: target, ContentType: contentType}
		got, err := c.Resolve(in)
		if err == nil {
			gateway.agrees(t, c, in, got)
			return
		}
		var e *operation.Error
		if !errors.As(err, &e) || got.Operation != nil {
			t.Errorf("%+v: %+v, %v", in, got, err)
		}
	})
}

// FuzzVariable puts any value where an identifier stands: with the content type
// that fits, so that nearly every run reaches the comparison with the mux.
func FuzzVariable(f *testing.F) {
	for _, value := range []string{"1", "a/b", "%2e%2e", "_search", "a%20b", "%25", "search", "x?a=b&c=%41", "roles/a/b"} {
		f.Add(uint16(0), value)
		f.Add(uint16(1), value)
	}
	c := catalogue(f)
	gateway := newOracle(f, c)
	all := bindings(c)
	f.Fuzz(func(t *testing.T, index uint16, value string) {
		b := all[int(index)%len(all)]
		target := ""
		for _, s := range b.segments {
			if isVariable(s) {
				s = value
			}
			target += "/" + s
		}
		in := operation.Request{Method: b.route.Method, Target: target, ContentType: b.contentType()}
		if got, err := c.Resolve(in); err == nil {
			gateway.agrees(t, c, in, got)
		}
	})
}
