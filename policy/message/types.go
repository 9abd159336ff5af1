// Package message reads the request message that ZITADEL would read out of a
// request, whatever the transport, or says that it cannot be told.
//
// A message is read only if there is one way to read it: fields that this build
// does not know, fields that are given twice and members of one oneof beside
// each other are errors, although ZITADEL would take them somehow. It does no
// I/O, and the shapes of the messages are unpacked on first use.
package message

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	// The well-known types that requests use; the shapes refer to them.
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/zproxy/zproxy/policy/operation"
)

//go:generate go run ./internal/generate

//go:embed descriptors.binpb.gz
var packed []byte

// Types are the request messages of ZITADEL's RPCs.
type Types struct {
	files    *protoregistry.Files
	resolver *dynamicpb.Types // of messages inside google.protobuf.Any
}

var shared = sync.OnceValues(func() (*Types, error) { return unpack(packed) })

// Default is the request messages that this build knows, unpacked once. It
// costs milliseconds and megabytes: who does not look into messages must not
// call it.
func Default() (*Types, error) { return shared() }

func unpack(packed []byte) (*Types, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking request messages: %w", err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("unpacking request messages: %w", err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(plain, &set); err != nil {
		return nil, fmt.Errorf("reading request messages: %w", err)
	}
	files, err := link(&set)
	if err != nil {
		return nil, fmt.Errorf("linking request messages: %w", err)
	}
	return &Types{files: files, resolver: dynamicpb.NewTypes(files)}, nil
}

// link registers the files in an order in which imports come first. The
// well-known types are those of the protobuf runtime, which knows how to read them.
func link(set *descriptorpb.FileDescriptorSet) (*protoregistry.Files, error) {
	byPath := make(map[string]*descriptorpb.FileDescriptorProto, len(set.File))
	for _, f := range set.File {
		byPath[f.GetName()] = f
	}
	files := new(protoregistry.Files)
	var add func(path string) error
	add = func(path string) error {
		p := byPath[path]
		if p == nil {
			return nil
		}
		delete(byPath, path)
		for _, needed := range p.Dependency {
			if err := add(needed); err != nil {
				return err
			}
		}
		f, err := protodesc.NewFile(p, resolver{files})
		if err != nil {
			return err
		}
		return files.RegisterFile(f)
	}
	for _, f := range set.File {
		if err := add(f.GetName()); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// resolver finds what a file refers to: ours first, then the runtime's.
type resolver struct{ files *protoregistry.Files }

func (r resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	f, err := r.files.FindFileByPath(path)
	if errors.Is(err, protoregistry.NotFound) {
		return protoregistry.GlobalFiles.FindFileByPath(path)
	}
	return f, err
}

func (r resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	d, err := r.files.FindDescriptorByName(name)
	if errors.Is(err, protoregistry.NotFound) {
		return protoregistry.GlobalFiles.FindDescriptorByName(name)
	}
	return d, err
}

// Files are the files that describe the messages.
func (t *Types) Files() *protoregistry.Files { return t.files }

// Of is the request message of the RPC name. Operations without descriptor and
// unlisted operations have none.
func (t *Types) Of(name operation.Name) (protoreflect.MessageDescriptor, bool) {
	d, err := t.files.FindDescriptorByName(protoreflect.FullName(strings.Replace(string(name), "/", ".", 1)))
	if err != nil {
		return nil, false
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, false
	}
	return m.Input(), true
}
