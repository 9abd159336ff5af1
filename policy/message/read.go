package message

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zproxy/zproxy/policy/operation"
)

const (
	// maxDepth bounds nesting; ZITADEL's deepest lawful request has a fraction of it.
	maxDepth = 100
	// maxParts bounds the values of a message: read, each takes a hundred times
	// what it took on the wire.
	maxParts = 50_000
)

// Source is where the message of one request stands.
type Source struct {
	// Body is one message, without framing or compression.
	Body []byte
	// JSON tells that Body is protojson; otherwise it is protobuf.
	JSON bool
	// REST tells that the message comes by a REST route: from the variables of
	// its path and, if BodyIsMessage, from the body, else from the query.
	REST          bool
	BodyIsMessage bool
	Variables     []operation.Variable
	Query         []operation.QueryPair
}

// Read is the message that ZITADEL would read. An error says why there is none,
// or more than one way to read it; its text may quote the request.
func (t *Types) Read(name operation.Name, s Source) (protoreflect.Message, error) {
	shape, ok := t.Of(name)
	if !ok {
		return nil, fmt.Errorf("reading request message: %s has none that this build knows", name)
	}
	m := dynamicpb.NewMessage(shape)
	if err := t.fill(m, s); err != nil {
		return nil, fmt.Errorf("reading request message: %w", err)
	}
	return m, nil
}

func (t *Types) fill(m *dynamicpb.Message, s Source) error {
	switch {
	case s.REST && !s.BodyIsMessage && len(s.Body) > 0:
		return errors.New("this route takes no body; leave it out")
	case s.JSON && s.REST && len(s.Body) == 0: // ZITADEL's REST gateway takes no body for {}
	case s.JSON:
		if err := t.readJSON(m, s.Body); err != nil {
			return err
		}
	default:
		if err := t.readWire(m, s.Body); err != nil {
			return err
		}
	}
	if !s.REST {
		return nil
	}
	for _, v := range s.Variables {
		if err := setVariable(m, v); err != nil {
			return err
		}
	}
	if s.BodyIsMessage {
		return nil
	}
	return setQuery(m, s.Query, s.Variables)
}

// readJSON refuses what protojson refuses, a field under both of its names
// among that, and fields that this build does not know.
func (t *Types) readJSON(m *dynamicpb.Message, body []byte) error {
	// Strings have such characters too: then a message of long texts is taken for one of many parts.
	if n := bytes.Count(body, []byte(",")) + bytes.Count(body, []byte("{")) + bytes.Count(body, []byte("[")); n > maxParts {
		return fmt.Errorf("the message has more than %d parts; send several smaller ones", maxParts)
	}
	return protojson.UnmarshalOptions{Resolver: t.resolver, RecursionLimit: maxDepth}.Unmarshal(body, m)
}

func (t *Types) readWire(m *dynamicpb.Message, body []byte) error {
	parts := maxParts
	if err := singular(body, m.Descriptor(), maxDepth, &parts); err != nil {
		return err
	}
	return proto.UnmarshalOptions{Resolver: t.resolver, RecursionLimit: maxDepth}.Unmarshal(body, m)
}
