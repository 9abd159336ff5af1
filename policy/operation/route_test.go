package operation_test

import (
	"strings"
	"testing"

	"github.com/zproxy/zproxy/policy/operation"
)

// binding is one REST binding with its place in the registration order.
type binding struct {
	name     operation.Name
	route    operation.Route
	segments []string
}

func bindings(c *operation.Catalogue) []binding {
	var all []binding
	for _, op := range c.Operations() {
		if !strings.HasPrefix(string(op.Name), "zitadel.") {
			continue
		}
		for _, r := range op.Routes {
			all = append(all, binding{op.Name, r, strings.Split(r.Template[1:], "/")})
		}
	}
	return all
}

func isVariable(segment string) bool { return strings.HasPrefix(segment, "{") }

// common is a path that both templates match, or "".
func common(a, b binding) string {
	if a.route.Method != b.route.Method || len(a.segments) != len(b.segments) {
		return ""
	}
	path := ""
	for i, s := range a.segments {
		switch o := b.segments[i]; {
		case !isVariable(s) && !isVariable(o) && s != o:
			return ""
		case !isVariable(s):
			path += "/" + s
		case !isVariable(o):
			path += "/" + o
		default:
			path += "/1"
		}
	}
	return path
}

func (b binding) contentType() string {
	if b.route.Body {
		return "application/json"
	}
	return ""
}

func TestCatalogueHasEveryRPC(t *testing.T) {
	c := catalogue(t)
	rpcs, services := 0, 0
	for i, op := range c.Operations() {
		if op.Index != i {
			t.Errorf("%s has index %d at %d", op.Name, op.Index, i)
		}
		if got, ok := c.Lookup(op.Name); !ok || got != op {
			t.Errorf("looking up %s gives %v", op.Name, got)
		}
		if strings.HasPrefix(string(op.Name), "zitadel.") {
			rpcs++
		}
	}
	for _, s := range c.Services() {
		if strings.HasPrefix(s, "zitadel.") {
			services++
		}
	}
	if n := len(bindings(c)); rpcs != 899 || services != 33 || n != 847 {
		t.Errorf("%d RPCs in %d services with %d bindings, want 899, 33, 847", rpcs, services, n)
	}
}

// TestEveryBindingReachesItsOperation: all but the one that a binding
// registered later takes over for its only spelling.
func TestEveryBindingReachesItsOperation(t *testing.T) {
	c := catalogue(t)
	gateway := newOracle(t, c)
	own := 0
	for _, b := range bindings(c) {
		path := ""
		for _, s := range b.segments {
			switch {
			case strings.HasSuffix(s, "=**}"):
				path += "/a/b"
			case isVariable(s):
				path += "/1"
			default:
				path += "/" + s
			}
		}
		in := operation.Request{Method: b.route.Method, Target: path, ContentType: b.contentType()}
		got, err := c.Resolve(in)
		if err != nil {
			// The winner of the inverted pair takes a body as well, so that a
			// refusal here would hide a wrong catalogue.
			t.Errorf("%s %s: %v", b.route.Method, path, err)
			continue
		}
		gateway.agrees(t, c, in, got)
		if got.Operation.Name == b.name {
			own++
		} else if b.name != "zitadel.internal_permission.v2beta.InternalPermissionService/ListAdministrators" {
			t.Errorf("%s %s resolves to %s, want %s", b.route.Method, path, got.Operation.Name, b.name)
		}
	}
	if own != 846 {
		t.Errorf("%d bindings reach their operation, want 846", own)
	}
}

func TestOverlappingBindingsGoToTheLastRegistered(t *testing.T) {
	c := catalogue(t)
	gateway := newOracle(t, c)
	all := bindings(c)
	pairs := 0
	for i, a := range all {
		for _, b := range all[i+1:] {
			path := common(a, b)
			if path == "" {
				continue
			}
			pairs++
			if as, bs := strings.Split(string(a.name), "/")[0], strings.Split(string(b.name), "/")[0]; as != bs {
				t.Errorf("%s and %s overlap across services: their order is not that of proto files", a.name, b.name)
			}
			in := operation.Request{Method: a.route.Method, Target: path, ContentType: b.contentType()}
			got, err := c.Resolve(in)
			if err != nil {
				t.Errorf("%s %s: %v", in.Method, path, err)
				continue
			}
			gateway.agrees(t, c, in, got)
		}
	}
	if pairs != 68 {
		t.Errorf("%d pairs overlap, want 68", pairs)
	}
}

// TestListingAdministratorsByRESTIsAnUpdate: the one pair where the variable
// beats the literal. A most-specific-first matcher would allow a list here
// while ZITADEL runs an update.
func TestListingAdministratorsByRESTIsAnUpdate(t *testing.T) {
	got, err := catalogue(t).Resolve(operation.Request{Method: "POST", Target: "/v2beta/administrators/search", ContentType: "application/json"})
	if err != nil {
		t.Fatal(err)
	}
	if want := operation.Name("zitadel.internal_permission.v2beta.InternalPermissionService/UpdateAdministrator"); got.Operation.Name != want {
		t.Errorf("resolved to %s, want %s", got.Operation.Name, want)
	}
}

// TestOneOperationWhateverTheTransport resolves every RPC by every path.
func TestOneOperationWhateverTheTransport(t *testing.T) {
	c := catalogue(t)
	for _, op := range c.Operations() {
		if !strings.HasPrefix(string(op.Name), "zitadel.") {
			continue
		}
		service, _, _ := strings.Cut(string(op.Name), "/")
		v1 := strings.HasSuffix(service, ".v1."+service[strings.LastIndexByte(service, '.')+1:])
		for contentType, want := range map[string]operation.Protocol{
			"application/grpc": operation.GRPC, "application/grpc+proto": operation.GRPC, "application/grpc+json": operation.GRPC,
			"application/grpc-web": operation.GRPCWeb, "application/grpc-web+json": operation.GRPCWeb,
			"application/grpc-web-text": operation.GRPCWebText,
			"application/json":          operation.Connect, "application/proto": operation.Connect, "Application/JSON; charset=UTF-8": operation.Connect,
			"application/connect+json": operation.ConnectStream,
		} {
			got, err := c.Resolve(operation.Request{Method: "POST", Target: "/" + string(op.Name), ContentType: contentType})
			if got.Protocol != want {
				t.Errorf("%s with %s: protocol %s, want %s", op.Name, contentType, got.Protocol, want)
			}
			served := want == operation.GRPC || want == operation.GRPCWeb || v1 == (want == operation.GRPCWebText) && want != operation.ConnectStream
			if strings.HasSuffix(contentType, "+json") { // may be read as protobuf
				served = false
			}
			if served != (err == nil) {
				t.Errorf("%s with %s: %v", op.Name, contentType, err)
			}
			if err == nil && (got.Operation != op || got.Path != "/"+string(op.Name) || got.JSON != strings.Contains(strings.ToLower(contentType), "json")) {
				t.Errorf("%s with %s: resolved to %+v", op.Name, contentType, got)
			}
		}
	}
}
