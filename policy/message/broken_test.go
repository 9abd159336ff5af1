package message

import (
	"bytes"
	"compress/gzip"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zproxy/zproxy/policy/operation"
)

func squeezed(t *testing.T, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Shapes that were spoilt are an error of the build.
func TestSpoiltShapesAreAnError(t *testing.T) {
	file := func(name string, imports ...string) *descriptorpb.FileDescriptorProto {
		return &descriptorpb.FileDescriptorProto{Name: proto.String(name), Syntax: proto.String("proto3"), Dependency: imports}
	}
	set := func(files ...*descriptorpb.FileDescriptorProto) []byte {
		text, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: files})
		if err != nil {
			t.Fatal(err)
		}
		return squeezed(t, text)
	}
	whole := set(file("a.proto"))
	for name, text := range map[string][]byte{
		"no gzip":                   []byte("what is this"),
		"gzip cut short":            whole[:len(whole)-4],
		"no descriptors":            squeezed(t, []byte("what is this")),
		"an import that is missing": set(file("a.proto", "nowhere.proto")),
		"so in an import":           set(file("a.proto", "b.proto"), file("b.proto", "nowhere.proto")),
	} {
		if _, err := unpack(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if types, err := unpack(whole); err != nil || types.Files().NumFiles() != 1 {
		t.Errorf("a whole file: %v", err)
	}
}

func TestOnlyMethodsHaveRequests(t *testing.T) {
	types, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"zitadel.user.v2.UserService", "zitadel.user.v2.CreateUserRequest", "zitadel.user.v2.UserService/Fly", ""} {
		if m, ok := types.Of(operation.Name(name)); ok {
			t.Errorf("%s has the request %s", name, m.FullName())
		}
	}
}
