package message_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/zproxy/zproxy/policy/message"
	"github.com/zproxy/zproxy/policy/operation"
)

const importData = operation.Name("zitadel.admin.v1.AdminService/ImportData")

// Only an import has ZITADEL fetch what it is to do.
func TestImportsAloneFetchFromElsewhere(t *testing.T) {
	for _, op := range rpcs(t) {
		shape, _ := types(t).Of(op.Name)
		if n := len(message.Elsewhere(shape)); (n > 0) != (op.Name == importData) || op.Name == importData && n != 6 {
			t.Errorf("%s has %d fields that fetch from elsewhere", op.Name, n)
		}
	}
}

func TestFieldsAreFoundAtTheTopOfAMessage(t *testing.T) {
	shape, _ := types(t).Of(importData)
	fields := message.Elsewhere(shape)
	local, timeout := shape.Fields().ByName("data_orgs_local").Number(), shape.Fields().ByName("timeout").Number()
	for name, c := range map[string]struct {
		wire []byte
		want bool
	}{
		"nothing":             {nil, false},
		"another field":       {tag(nil, timeout, "1m"), false},
		"a field":             {tag(tag(nil, timeout, "1m"), local, ""), true},
		"a field of no shape": {tag(nil, local, "\xff"), true},
	} {
		if got, err := message.Gives(c.wire, fields); err != nil || got != c.want {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
	if _, err := message.Gives([]byte{0x0a, 0x05, 'x'}, fields); err == nil {
		t.Error("wire that ends early is read")
	}
	if got, err := message.Gives(tag(nil, local, ""), []protoreflect.FieldDescriptor{}); got || err != nil {
		t.Error("a field that is not asked for is found")
	}
}
