package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zitadel/zitadel-go/v3/pkg/client/zitadel/message"

	_ "github.com/zproxy/zproxy/internal/descriptors" // what is served
)

// prefix stands before the REST templates of the v1 services, which do not carry it.
func prefix(service protoreflect.FullName) string {
	switch service {
	case "zitadel.management.v1.ManagementService":
		return "/management/v1"
	case "zitadel.admin.v1.AdminService":
		return "/admin/v1"
	case "zitadel.auth.v1.AuthService":
		return "/auth/v1"
	case "zitadel.system.v1.SystemService":
		return "/system/v1"
	}
	return ""
}

// register makes a handler for every RPC in every transport that ZITADEL
// serves it by: rpcs by path, and the REST gateway, which is returned.
func (s *Sandbox) register(rpcs map[string]http.Handler) (http.Handler, error) {
	rest := runtime.NewServeMux(runtime.WithRoutingErrorHandler(routingError))
	var failed error
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(f.Path(), "zitadel/") {
			return true
		}
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				path := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
				rpcs[path] = s.rpc(path, m)
				failed = errors.Join(failed, s.bindings(rest, m))
			}
		}
		return true
	})
	return rest, failed
}

// rpc serves one RPC by gRPC, gRPC-web and, except in v1, Connect.
func (s *Sandbox) rpc(path string, m protoreflect.MethodDescriptor) http.Handler {
	h := connect.NewUnaryHandler(path, func(ctx context.Context, in *connect.Request[dynamicpb.Message]) (*connect.Response[dynamicpb.Message], error) {
		r, _ := ctx.Value(requestKey{}).(*http.Request)
		out, p := s.perform(r, m, in.Msg, false)
		if p != nil {
			return nil, connectError(p)
		}
		return connect.NewResponse(out), nil
	}, connect.WithSchema(m), connect.WithRequestInitializer(func(_ connect.Spec, msg any) error {
		if d, ok := msg.(*dynamicpb.Message); ok {
			*d = *dynamicpb.NewMessage(m.Input())
		}
		return nil
	}))
	v1 := prefix(m.Parent().FullName()) != ""
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, in := w, r
		if v1 {
			var call bool
			if out, in, call = v1RPC(w, r); !call {
				writeProblem(w, &problem{5, "", "Not Found"})
				return
			}
		}
		if refuseEncoding(w, r) {
			return
		}
		h.ServeHTTP(out, in.WithContext(context.WithValue(r.Context(), requestKey{}, r)))
	})
}

// refuseEncoding ends a gRPC call whose messages nobody here can unpack, before
// it has read any of them, as grpc-go's server does.
func refuseEncoding(w http.ResponseWriter, r *http.Request) bool {
	encoding := r.Header.Get("Grpc-Encoding")
	if encoding == "" || encoding == "identity" || encoding == "gzip" || r.Header.Get("Content-Type") != "application/grpc" {
		return false
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", "12")
	w.Header().Set("Grpc-Message", "grpc: Decompressor is not installed for grpc-encoding")
	w.WriteHeader(http.StatusOK)
	return true
}

type requestKey struct{}

func connectError(p *problem) error {
	err := connect.NewError(connect.Code(p.code), errors.New(p.text()))
	if d, e := connect.NewErrorDetail(&message.ErrorDetail{Id: p.id, Message: p.message}); e == nil {
		err.AddDetail(d)
	}
	return err
}

// bindings serves the REST routes of one RPC.
func (s *Sandbox) bindings(rest *runtime.ServeMux, m protoreflect.MethodDescriptor) error {
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	var failed error
	for _, b := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		for verb, template := range map[string]string{
			"GET": b.GetGet(), "PUT": b.GetPut(), "POST": b.GetPost(), "DELETE": b.GetDelete(), "PATCH": b.GetPatch(),
		} {
			if template != "" {
				failed = errors.Join(failed, rest.HandlePath(verb, prefix(m.Parent().FullName())+template, s.route(m, b.GetBody() != "")))
			}
		}
	}
	return failed
}

// route is ZITADEL's REST gateway: any content type is read as JSON, the query
// fills what path and body do not.
func (s *Sandbox) route(m protoreflect.MethodDescriptor, body bool) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		in := dynamicpb.NewMessage(m.Input())
		if err := fill(in, r, params, body); err != nil {
			writeProblem(w, &problem{3, "", err.Error()})
			return
		}
		out, p := s.perform(r, m, in, true)
		if p != nil {
			writeProblem(w, p)
			return
		}
		text, err := protojson.Marshal(out)
		if err != nil {
			writeProblem(w, &problem{13, "", err.Error()})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Grpc-Metadata-Content-Type", "application/grpc")
		_, _ = w.Write(text)
	}
}

func fill(in proto.Message, r *http.Request, params map[string]string, body bool) error {
	var given [][]string
	if body {
		text, err := readLimited(r)
		if err != nil {
			return err
		}
		if len(text) > 0 {
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, in); err != nil {
				return err
			}
		}
	}
	for field, value := range params {
		if err := runtime.PopulateFieldFromPath(in, field, value); err != nil {
			return err
		}
		given = append(given, strings.Split(field, "."))
	}
	if body {
		return nil
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	return runtime.PopulateQueryParameters(in, r.Form, utilities.NewDoubleArray(given))
}

// perform runs one call: ZITADEL's checks, then the operation or, for those
// that the sandbox does not play, an empty answer.
func (s *Sandbox) perform(r *http.Request, m protoreflect.MethodDescriptor, in proto.Message, rest bool) (*dynamicpb.Message, *problem) {
	name := string(m.Parent().FullName()) + "/" + string(m.Name())
	out := dynamicpb.NewMessage(m.Output())
	if m.Name() == "Healthz" {
		return out, nil
	}
	text, err := protojson.Marshal(in)
	if err != nil {
		return nil, &problem{13, "", err.Error()}
	}
	c, p := s.begin(name, r, rest)
	s.note(r, name, string(text), c)
	if p != nil {
		return nil, p
	}
	play := operations()[name]
	if play == nil {
		return out, nil
	}
	answer, p := play(c, text)
	if p != nil {
		return nil, p
	}
	if text, err = json.Marshal(answer); err == nil {
		err = protojson.Unmarshal(text, out)
	}
	if err != nil {
		return nil, &problem{13, "", err.Error()}
	}
	return out, nil
}
