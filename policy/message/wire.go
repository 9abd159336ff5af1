package message

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// singular refuses what protobuf (https://protobuf.dev/programming-guides/encoding/)
// lets readers settle: unknown fields, which are skipped, a field given twice,
// of which the last counts or the parts are merged, and two members of a oneof.
func singular(wire []byte, shape protoreflect.MessageDescriptor, depth int, parts *int) error {
	if depth == 0 {
		return fmt.Errorf("%s nests deeper than %d messages", shape.FullName(), maxDepth)
	}
	var given given
	for len(wire) > 0 {
		if *parts--; *parts < 0 {
			return fmt.Errorf("the message has more than %d parts; send several smaller ones", maxParts)
		}
		number, kind, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return fmt.Errorf("%s: %w", shape.FullName(), protowire.ParseError(n))
		}
		wire = wire[n:]
		f := shape.Fields().ByNumber(number)
		if f == nil {
			return fmt.Errorf("%s has no field %d that this build knows", shape.FullName(), number)
		}
		if err := given.once(f); err != nil {
			return err
		}
		size := protowire.ConsumeFieldValue(number, kind, wire)
		if size < 0 {
			return fmt.Errorf("%s: %w", f.FullName(), protowire.ParseError(size))
		}
		value := wire[:size]
		wire = wire[size:]
		if err := typed(f, kind, value, &given, depth, parts); err != nil {
			return err
		}
	}
	return nil
}

// given is what a message has given so far. Most messages give little.
type given struct {
	fields []protoreflect.FullName
	keys   map[string]bool // of maps
}

// once marks f, or the oneof it is in, as given.
func (g *given) once(f protoreflect.FieldDescriptor) error {
	if f.IsList() || f.IsMap() {
		return nil
	}
	name := f.FullName()
	if o := f.ContainingOneof(); o != nil {
		name = o.FullName()
	}
	if slices.Contains(g.fields, name) { // no message has more than some dozens
		return fmt.Errorf("%s is given more than once", name)
	}
	g.fields = append(g.fields, name)
	return nil
}

// typed checks the wire type, which decides whether a reader takes the value or
// skips it, and looks into messages.
func typed(f protoreflect.FieldDescriptor, kind protowire.Type, value []byte, g *given, depth int, parts *int) error {
	if f.IsList() && kind == protowire.BytesType && wireTypes[f.Kind()] != protowire.BytesType {
		*parts -= len(value) // packed: a byte each at least
		return nil
	}
	if want, ok := wireTypes[f.Kind()]; !ok || kind != want {
		return fmt.Errorf("%s has the wire type of another field", f.FullName())
	}
	if f.Message() == nil {
		return nil
	}
	inner, _ := protowire.ConsumeBytes(value) // it was consumed once already
	if f.IsMap() {
		key := string(f.FullName()) + "\x00" + mapKey(inner)
		if g.keys[key] {
			return fmt.Errorf("%s has a key more than once", f.FullName())
		}
		if g.keys == nil {
			g.keys = make(map[string]bool)
		}
		g.keys[key] = true
	}
	return singular(inner, f.Message(), depth-1, parts)
}

// mapKey is the bytes of an entry's key, field 1; "" for the default key,
// spelled out or not.
func mapKey(entry []byte) string {
	for len(entry) > 0 {
		number, kind, n := protowire.ConsumeTag(entry)
		if n < 0 {
			return ""
		}
		size := protowire.ConsumeFieldValue(number, kind, entry[n:])
		if size < 0 {
			return ""
		}
		if number == 1 && kind == protowire.BytesType {
			key, _ := protowire.ConsumeBytes(entry[n:])
			return string(key)
		}
		if number == 1 {
			v, _ := protowire.ConsumeVarint(entry[n:])
			return fmt.Sprint(v)
		}
		entry = entry[n+size:]
	}
	return ""
}

// wireTypes are those that a reader takes. Groups are in none of ZITADEL's messages.
var wireTypes = map[protoreflect.Kind]protowire.Type{
	protoreflect.BoolKind: protowire.VarintType, protoreflect.EnumKind: protowire.VarintType,
	protoreflect.Int32Kind: protowire.VarintType, protoreflect.Sint32Kind: protowire.VarintType, protoreflect.Uint32Kind: protowire.VarintType,
	protoreflect.Int64Kind: protowire.VarintType, protoreflect.Sint64Kind: protowire.VarintType, protoreflect.Uint64Kind: protowire.VarintType,
	protoreflect.Fixed32Kind: protowire.Fixed32Type, protoreflect.Sfixed32Kind: protowire.Fixed32Type, protoreflect.FloatKind: protowire.Fixed32Type,
	protoreflect.Fixed64Kind: protowire.Fixed64Type, protoreflect.Sfixed64Kind: protowire.Fixed64Type, protoreflect.DoubleKind: protowire.Fixed64Type,
	protoreflect.StringKind: protowire.BytesType, protoreflect.BytesKind: protowire.BytesType, protoreflect.MessageKind: protowire.BytesType,
}
