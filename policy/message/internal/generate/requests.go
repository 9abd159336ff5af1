package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// wellKnown types are linked with the protobuf runtime and need no copy.
const wellKnown = "google/protobuf/"

// empty stands for every response: who reads requests needs none.
const empty = ".google.protobuf.Empty"

// closure is what can be reached from the requests.
type closure map[protoreflect.FullName]bool

func (c closure) message(m protoreflect.MessageDescriptor) {
	if c[m.FullName()] {
		return
	}
	c[m.FullName()] = true
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Message() != nil {
			c.message(f.Message())
		}
		if f.Enum() != nil {
			c[f.Enum().FullName()] = true
		}
	}
}

// requests are the files of ZITADEL's services, cut down to what their requests need.
func requests(files *protoregistry.Files) (*descriptorpb.FileDescriptorSet, error) {
	byPath := map[string]protoreflect.FileDescriptor{}
	reached := closure{}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		byPath[f.Path()] = f
		if !strings.HasPrefix(f.Path(), "zitadel/") {
			return true
		}
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				reached.message(methods.Get(j).Input())
			}
		}
		return true
	})
	set := new(descriptorpb.FileDescriptorSet)
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		if strings.HasPrefix(path, wellKnown) {
			continue
		}
		if cut := cutDown(byPath[path], reached); cut != nil {
			set.File = append(set.File, cut)
		}
	}
	return set, linked(set)
}

// cutDown is nil for a file of which nothing is needed.
func cutDown(f protoreflect.FileDescriptor, reached closure) *descriptorpb.FileDescriptorProto {
	p := protodesc.ToFileDescriptorProto(f)
	p.SourceCodeInfo, p.Options, p.Extension, p.PublicDependency, p.WeakDependency = nil, nil, nil, nil, nil
	pkg := protoreflect.FullName(p.GetPackage())
	p.MessageType = keep(p.MessageType, pkg, reached)
	p.EnumType = keepEnums(p.EnumType, pkg, reached)
	for _, s := range p.Service {
		s.Options = nil
		for _, m := range s.Method {
			m.Options, m.OutputType = nil, proto.String(empty)
		}
	}
	if !strings.HasPrefix(f.Path(), "zitadel/") {
		p.Service = nil
	}
	if len(p.MessageType) == 0 && len(p.EnumType) == 0 && len(p.Service) == 0 {
		return nil
	}
	return p
}

func keep(messages []*descriptorpb.DescriptorProto, parent protoreflect.FullName, reached closure) []*descriptorpb.DescriptorProto {
	var kept []*descriptorpb.DescriptorProto
	for _, m := range messages {
		name := parent.Append(protoreflect.Name(m.GetName()))
		m.NestedType = keep(m.NestedType, name, reached)
		m.EnumType = keepEnums(m.EnumType, name, reached)
		if !reached[name] && len(m.NestedType) == 0 && len(m.EnumType) == 0 {
			continue
		}
		if !reached[name] { // only a name around what is needed
			m.Field, m.OneofDecl = nil, nil
		}
		if m.Options != nil { // without it a map is a list
			m.Options = &descriptorpb.MessageOptions{MapEntry: m.Options.MapEntry}
		}
		m.Extension, m.ReservedRange, m.ReservedName = nil, nil, nil
		for _, f := range m.Field {
			f.Options = nil
		}
		for _, o := range m.OneofDecl {
			o.Options = nil
		}
		kept = append(kept, m)
	}
	return kept
}

func keepEnums(enums []*descriptorpb.EnumDescriptorProto, parent protoreflect.FullName, reached closure) []*descriptorpb.EnumDescriptorProto {
	enums = slices.DeleteFunc(enums, func(e *descriptorpb.EnumDescriptorProto) bool {
		return !reached[parent.Append(protoreflect.Name(e.GetName()))]
	})
	for _, e := range enums {
		if e.Options != nil {
			e.Options = &descriptorpb.EnumOptions{AllowAlias: e.Options.AllowAlias}
		}
		for _, v := range e.Value {
			v.Options = nil
		}
	}
	return enums
}

// linked makes the imports of the files those that are left, and needed.
func linked(set *descriptorpb.FileDescriptorSet) error {
	owner := map[string]string{}
	for _, f := range set.File {
		owners(owner, "."+f.GetPackage(), f.MessageType, f.EnumType, f.GetName())
	}
	for _, f := range set.File {
		needs := map[string]bool{}
		for _, s := range f.Service {
			needs["google/protobuf/empty.proto"] = true
			for _, m := range s.Method {
				needs[owner[m.GetInputType()]] = true
			}
		}
		if err := imports(needs, owner, f.MessageType); err != nil {
			return fmt.Errorf("linking %s: %w", f.GetName(), err)
		}
		delete(needs, f.GetName())
		f.Dependency = slices.Sorted(maps.Keys(needs))
	}
	return nil
}

func owners(owner map[string]string, parent string, messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto, file string) {
	for _, m := range messages {
		owner[parent+"."+m.GetName()] = file
		owners(owner, parent+"."+m.GetName(), m.NestedType, m.EnumType, file)
	}
	for _, e := range enums {
		owner[parent+"."+e.GetName()] = file
	}
}

func imports(needs map[string]bool, owner map[string]string, messages []*descriptorpb.DescriptorProto) error {
	for _, m := range messages {
		for _, f := range m.Field {
			name := f.GetTypeName()
			if name == "" {
				continue
			}
			file := owner[name]
			if file == "" {
				d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name[1:]))
				if err != nil {
					return err
				}
				file = d.ParentFile().Path()
			}
			needs[file] = true
		}
		if err := imports(needs, owner, m.NestedType); err != nil {
			return err
		}
	}
	return nil
}
