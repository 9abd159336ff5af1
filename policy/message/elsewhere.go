package message

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Elsewhere are the fields of a request by which ZITADEL fetches what it is to
// do from a file or a bucket, where nobody has looked at it. ImportData of the
// Admin API is the one RPC that has some.
func Elsewhere(shape protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	var all []protoreflect.FieldDescriptor
	for i := range shape.Fields().Len() {
		f := shape.Fields().Get(i)
		if f.Message() == nil {
			continue
		}
		switch f.Message().Name() {
		case "LocalInput", "S3Input", "GCSInput":
			all = append(all, f)
		}
	}
	return all
}

// Gives tells whether a message on the wire has one of fields at its top,
// however it goes on: it does not read the message, which may be large.
func Gives(wire []byte, fields []protoreflect.FieldDescriptor) (bool, error) {
	for len(wire) > 0 {
		number, _, n := protowire.ConsumeField(wire)
		if n < 0 {
			return false, fmt.Errorf("reading request message: %w", protowire.ParseError(n))
		}
		if slices.ContainsFunc(fields, func(f protoreflect.FieldDescriptor) bool { return f.Number() == number }) {
			return true, nil
		}
		wire = wire[n:]
	}
	return false, nil
}
