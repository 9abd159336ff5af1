package proxy

import (
	"encoding/binary"
	"io"
)

// guardedBody is a stream of length-prefixed messages (gRPC, gRPC-web,
// streaming Connect) of which each is looked at, whole, before its first byte
// goes upstream. Operations that this build does not know may stream, so their
// bodies cannot be read to the end first.
type guardedBody struct {
	*inBody
	ids      []string
	encoding string
	limit    int64 // bytes of one message, compressed or not

	prefix  [5]byte
	message []byte
	pending []byte // what of the message is still to be given out
	err     error
}

// Read gives out only what was looked at. Its errors are errOwnUser,
// errUnreadable, errEncoding, errTooLarge, and io.ErrUnexpectedEOF within a message, besides
// those of the body.
func (b *guardedBody) Read(p []byte) (int, error) {
	if len(b.pending) == 0 && b.err == nil {
		b.err = b.next()
		switch b.err {
		case errOwnUser, errUnreadable, errEncoding, errTooLarge, io.ErrUnexpectedEOF:
			b.refused.Store(&b.err)
		}
	}
	if len(b.pending) == 0 {
		return 0, b.err
	}
	n := copy(p, b.pending)
	b.pending = b.pending[n:]
	return n, nil
}

// next reads one message and looks at it.
func (b *guardedBody) next() error {
	if _, err := io.ReadFull(b.inBody, b.prefix[:]); err != nil {
		return err // io.EOF between messages is the end
	}
	size := int64(binary.BigEndian.Uint32(b.prefix[1:]))
	if size > b.limit {
		return errTooLarge
	}
	b.message = append(b.message[:0], b.prefix[:]...)
	if int64(cap(b.message)) < 5+size {
		b.message = append(make([]byte, 0, 5+size), b.prefix[:]...)
	}
	b.message = b.message[:5+size]
	if _, err := io.ReadFull(b.inBody, b.message[5:]); err != nil {
		return io.ErrUnexpectedEOF
	}
	mentioned, err := framesMention(b.message, b.encoding, b.ids, b.limit)
	switch {
	case err != nil:
		return err
	case mentioned:
		return errOwnUser
	}
	b.pending = b.message
	return nil
}
