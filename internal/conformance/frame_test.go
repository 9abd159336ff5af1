package conformance_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of ServerCompatResponse and ClientCompatRequest.
const (
	serverHost = 1
	serverPort = 2
	clientHost = 6
	clientPort = 7
)

// maxFrame bounds a message of the suite's protocol, in bytes.
const maxFrame = 64 << 20

// readFrame reads one message; io.EOF between messages is the end.
func readFrame(r io.Reader) ([]byte, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(prefix[:])
	if size > maxFrame {
		return nil, fmt.Errorf("reading message: %d bytes are too many", size)
	}
	message := make([]byte, size)
	_, err := io.ReadFull(r, message)
	return message, err
}

// writeFrame writes one message in one Write.
func writeFrame(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...))
	return err
}

// moveTo replaces host and port in a message, and returns what they were.
func moveTo(message []byte, hostField, portField protowire.Number, host string, port uint64) (out []byte, wasHost string, wasPort uint64, err error) {
	for rest := message; len(rest) > 0; {
		number, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil, "", 0, protowire.ParseError(n)
		}
		_, _, tag := protowire.ConsumeTag(rest)
		switch number {
		case hostField:
			wasHost, _ = protowire.ConsumeString(rest[tag:])
		case portField:
			wasPort, _ = protowire.ConsumeVarint(rest[tag:])
		default:
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	if wasHost == "" || wasPort == 0 {
		return nil, "", 0, errors.New("moving message: it has no host or no port")
	}
	out = protowire.AppendTag(out, hostField, protowire.BytesType)
	out = protowire.AppendString(out, host)
	out = protowire.AppendTag(out, portField, protowire.VarintType)
	return protowire.AppendVarint(out, port), wasHost, wasPort, nil
}
