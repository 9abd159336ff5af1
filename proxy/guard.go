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
	memory   taker

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
		case errOwnUser, errUnreadable, errEncoding, errTooLarge, errBusy, io.ErrUnexpectedEOF:
			if !b.stopped.Load() {
				b.refused.Store(&b.err)
			}
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
	if err := b.arrive(size); err != nil {
		return err
	}
	mentioned, err := framesMention(b.message, b.encoding, b.ids, b.limit, b.memory)
	switch {
	case err != nil:
		return err
	case mentioned:
		return errOwnUser
	}
	b.pending = b.message
	return nil
}

// arrive reads a message of size bytes behind its prefix. Its buffer, which is
// used again for the next one, grows with what arrives.
func (b *guardedBody) arrive(size int64) error {
	b.message = append(b.message[:0], b.prefix[:]...)
	whole := 5 + size
	for int64(len(b.message)) < whole {
		if len(b.message) == cap(b.message) || cap(b.message) < 512 {
			room := min(max(512, 2*int64(cap(b.message))), whole)
			if !b.memory.take(max(0, room-int64(cap(b.message)))) {
				return errBusy
			}
			b.message = append(make([]byte, 0, room), b.message...)
		}
		end := min(int64(cap(b.message)), whole)
		from := len(b.message)
		b.message = b.message[:end]
		if _, err := io.ReadFull(b.inBody, b.message[from:]); err != nil {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}
