package message

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/operation"
)

// setVariable sets the field that a variable of the path names. The path wins
// over the body at ZITADEL; a body that says something else is refused.
func setVariable(m protoreflect.Message, v operation.Variable) error {
	parent, f, err := find(m, v.Field)
	if err != nil {
		return err
	}
	value, err := parse(f, v.Value)
	if err != nil {
		return err
	}
	if parent.Has(f) && !parent.Get(f).Equal(value) {
		return fmt.Errorf("the body sets %s to another value than the path", v.Field)
	}
	return set(parent, f, value)
}

// setQuery sets what the query names, by proto or JSON names, nested with dots
// (google.api.http). ZITADEL skips names that it does not know and takes the
// parameters in random order; both are refused here.
func setQuery(m protoreflect.Message, pairs []operation.QueryPair, variables []operation.Variable) error {
	seen := make(map[string]bool, len(pairs)+len(variables))
	for _, v := range variables {
		seen[v.Field] = true
	}
	for _, p := range pairs {
		parent, f, err := find(m, p.Name)
		if err != nil {
			return err
		}
		value, err := parse(f, p.Value)
		if err != nil {
			return err
		}
		if f.IsList() {
			parent.Mutable(f).List().Append(value)
			continue
		}
		at := canonical(m.Descriptor(), p.Name)
		if seen[at] {
			return fmt.Errorf("%s is given more than once", at)
		}
		seen[at] = true
		if err := set(parent, f, value); err != nil {
			return err
		}
	}
	return nil
}

// find walks a dotted path of field names and makes the messages on the way.
func find(m protoreflect.Message, path string) (protoreflect.Message, protoreflect.FieldDescriptor, error) {
	for {
		name, rest, more := strings.Cut(path, ".")
		f := field(m.Descriptor(), name)
		switch {
		case f == nil:
			return nil, nil, fmt.Errorf("%s has no field %q that this build knows", m.Descriptor().FullName(), name)
		case !more:
			return m, f, nil
		case f.Message() == nil || f.IsList() || f.IsMap():
			return nil, nil, fmt.Errorf("%s is no message that a query can look into", f.FullName())
		}
		if o := f.ContainingOneof(); o != nil && m.WhichOneof(o) != nil && m.WhichOneof(o) != f {
			return nil, nil, fmt.Errorf("%s is given more than once", o.FullName())
		}
		m, path = m.Mutable(f).Message(), rest
	}
}

func field(shape protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := shape.Fields().ByName(protoreflect.Name(name)); f != nil {
		return f
	}
	return shape.Fields().ByJSONName(name)
}

// canonical is a path that find knows, in proto names.
func canonical(shape protoreflect.MessageDescriptor, path string) string {
	var names []string
	for name := range strings.SplitSeq(path, ".") {
		f := field(shape, name)
		names, shape = append(names, string(f.Name())), f.Message()
	}
	return strings.Join(names, ".")
}

func set(m protoreflect.Message, f protoreflect.FieldDescriptor, v protoreflect.Value) error {
	if o := f.ContainingOneof(); o != nil && m.WhichOneof(o) != nil && m.WhichOneof(o) != f {
		return fmt.Errorf("%s is given more than once", o.FullName())
	}
	m.Set(f, v)
	return nil
}

// parse reads a value as grpc-gateway does. Kinds that no field of a path or
// query of ZITADEL's needs are refused, and so are the other spellings of true
// and false that it takes.
func parse(f protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	switch f.Kind() {
	case protoreflect.StringKind:
		if utf8.ValidString(text) {
			return protoreflect.ValueOfString(text), nil
		}
	case protoreflect.BoolKind:
		if text == "true" || text == "false" {
			return protoreflect.ValueOfBool(text == "true"), nil
		}
	case protoreflect.EnumKind:
		if v := f.Enum().Values().ByName(protoreflect.Name(text)); v != nil {
			return protoreflect.ValueOfEnum(v.Number()), nil
		}
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && f.Enum().Values().ByNumber(protoreflect.EnumNumber(n)) != nil {
			return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), nil
		}
	case protoreflect.Int32Kind:
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			return protoreflect.ValueOfInt32(int32(n)), nil
		}
	case protoreflect.Int64Kind:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return protoreflect.ValueOfInt64(n), nil
		}
	case protoreflect.Uint32Kind:
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			return protoreflect.ValueOfUint32(uint32(n)), nil
		}
	case protoreflect.Uint64Kind:
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return protoreflect.ValueOfUint64(n), nil
		}
	}
	return protoreflect.Value{}, fmt.Errorf("%s cannot be %q in a path or query", f.FullName(), text)
}
