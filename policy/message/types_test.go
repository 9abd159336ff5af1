package message_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/zproxy/zproxy/internal/descriptors"
	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

func types(t testing.TB) *message.Types {
	t.Helper()
	all, err := message.Default()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func catalogue(t testing.TB) *operation.Catalogue {
	t.Helper()
	c, err := operation.Default()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryRPCHasTheRequestMessageThatZITADELHas(t *testing.T) {
	all, rpcs := types(t), 0
	for _, op := range catalogue(t).Operations() {
		got, ok := all.Of(op.Name)
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(dotted(op.Name)))
		if err != nil {
			if ok {
				t.Errorf("%s has no descriptor and a request message", op.Name)
			}
			continue
		}
		if !ok {
			t.Errorf("%s has no request message", op.Name)
			continue
		}
		rpcs++
		alike(t, got, d.(protoreflect.MethodDescriptor).Input(), map[protoreflect.FullName]bool{})
	}
	if rpcs != 899 {
		t.Errorf("%d RPCs, ZITADEL has 899", rpcs)
	}
}

func dotted(name operation.Name) string {
	text := []byte(name)
	for i, c := range text {
		if c == '/' {
			text[i] = '.'
		}
	}
	return string(text)
}

// alike compares all that decides how a message is read.
func alike(t *testing.T, got, want protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[want.FullName()] {
		return
	}
	seen[want.FullName()] = true
	if got.FullName() != want.FullName() || got.Fields().Len() != want.Fields().Len() || got.IsMapEntry() != want.IsMapEntry() {
		t.Fatalf("%s with %d fields, want %s with %d", got.FullName(), got.Fields().Len(), want.FullName(), want.Fields().Len())
	}
	for i := range want.Fields().Len() {
		g, w := got.Fields().Get(i), want.Fields().Get(i)
		same := g.Name() == w.Name() && g.JSONName() == w.JSONName() && g.Number() == w.Number() && g.Kind() == w.Kind() &&
			g.Cardinality() == w.Cardinality() && g.HasPresence() == w.HasPresence() && g.IsMap() == w.IsMap() && g.IsPacked() == w.IsPacked() &&
			(g.ContainingOneof() == nil) == (w.ContainingOneof() == nil)
		if same && g.ContainingOneof() != nil {
			same = g.ContainingOneof().FullName() == w.ContainingOneof().FullName()
		}
		if !same {
			t.Errorf("%s reads otherwise than %s", g.FullName(), w.FullName())
		}
		if w.Message() != nil {
			alike(t, g.Message(), w.Message(), seen)
		}
		if w.Enum() != nil && g.Enum().Values().Len() != w.Enum().Values().Len() {
			t.Errorf("%s has %d values, want %d", g.Enum().FullName(), g.Enum().Values().Len(), w.Enum().Values().Len())
		}
	}
}
