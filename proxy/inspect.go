package proxy

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/zproxy/zproxy/policy/operation"
)

// Operations aimed at zproxy's own service users are refused by mention: an id
// that appears anywhere in path, query or body is enough. A superset of what
// ZITADEL would act on has no decoder to disagree with (docs/adr/0002).

var (
	errTooLarge   = errors.New("reading body: larger than the limit")
	errUnreadable = errors.New("reading body: not in a form that can be looked at")
	errEncoding   = errors.New("reading body: compressed in a way that cannot be looked into")
	errOwnUser    = errors.New("reading body: mentions one of zproxy's own service users")
)

// mentions tells whether text carries one of ids, as it stands or behind JSON escapes.
func mentions(text []byte, ids []string) bool {
	if contains(text, ids) {
		return true
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return false
	}
	return contains(unescape(text), ids)
}

func contains(text []byte, ids []string) bool {
	for _, id := range ids {
		if bytes.Contains(text, []byte(id)) {
			return true
		}
	}
	return false
}

// unescape undoes JSON's escapes (RFC 8259 section 7) wherever they stand,
// without asking what is a string: valid JSON has them nowhere else.
func unescape(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out = append(out, text[i])
			continue
		}
		i++
		if text[i] != 'u' || i+4 >= len(text) {
			out = append(out, text[i])
			continue
		}
		r := unhex4(text[i+1:])
		i += 4
		if utf16.IsSurrogate(r) && i+6 < len(text) && text[i+1] == '\\' && text[i+2] == 'u' {
			if pair := utf16.DecodeRune(r, unhex4(text[i+3:])); pair != unicode.ReplacementChar {
				r = pair
				i += 6
			}
		}
		out = append(out, string(r)...)
	}
	return out
}

// unhex4 is the number that the first four bytes of text write.
func unhex4(text []byte) (r rune) {
	for _, c := range text[:4] {
		r = r<<4 | rune(unhex(c))
	}
	return r
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}

// bodyMentions looks through a whole body in its protocol's framing. An error
// means that it cannot be told; the request must be refused then.
func bodyMentions(body []byte, in bodyForm, ids []string, limit int64) (bool, error) {
	switch in.protocol {
	case operation.GRPC, operation.GRPCWeb, operation.ConnectStream:
		return framesMention(body, in.messageEncoding, ids, limit, in.memory)
	case operation.GRPCWebText:
		plain, err := decodeQuads(body)
		if err != nil {
			return false, err
		}
		return framesMention(plain, in.messageEncoding, ids, limit, in.memory)
	}
	plain, err := decompress(body, in.contentEncoding, in.protocol == operation.Connect, limit, in.memory)
	if err != nil {
		return false, err
	}
	return mentions(plain, ids), nil
}

// bodyForm is what is needed to look into a body.
type bodyForm struct {
	protocol        operation.Protocol
	contentEncoding string // of the whole body
	messageEncoding string // of single gRPC messages
	memory          taker  // for what is decompressed
}

// taker takes n bytes of memory, or reports that there is none.
type taker interface{ take(n int64) bool }

// framesMention looks through gRPC's length-prefixed messages.
func framesMention(body []byte, encoding string, ids []string, limit int64, memory taker) (bool, error) {
	for len(body) > 0 {
		if len(body) < 5 {
			return false, errUnreadable
		}
		flags, size := body[0], uint64(binary.BigEndian.Uint32(body[1:5]))
		if flags > 1 || size > uint64(len(body)-5) {
			return false, errUnreadable
		}
		message := body[5 : 5+size]
		body = body[5+size:]
		if flags == 1 { // by no encoding at all: gRPC and Connect servers answer that with an error
			var err error
			if message, err = decompress(message, encoding, true, limit, memory); err != nil {
				return false, err
			}
		}
		if mentions(message, ids) {
			return true, nil
		}
	}
	return false, nil
}

// decompress undoes gzip where the protocol has compression; anything else cannot be looked at.
func decompress(body []byte, encoding string, allowed bool, limit int64, memory taker) ([]byte, error) {
	if encoding == "" || encoding == "identity" {
		return body, nil
	}
	if encoding != "gzip" || !allowed {
		return nil, errEncoding
	}
	if len(body) == 0 {
		return nil, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, errUnreadable
	}
	var plain []byte
	for size := int64(1 << 10); ; size *= 2 {
		if size = min(size, limit+1); !memory.take(size - int64(cap(plain))) {
			return nil, errBusy
		}
		plain = append(make([]byte, 0, size), plain...)
		plain, err = fill(z, plain)
		switch {
		case errors.Is(err, io.EOF) && int64(len(plain)) <= limit:
			return plain, nil
		case int64(len(plain)) > limit:
			return nil, errTooLarge
		case err != nil:
			return nil, errUnreadable
		}
	}
}

// decodeQuads decodes the base64 of gRPC-web's text form, in which padding may
// stand between frames.
func decodeQuads(text []byte) ([]byte, error) {
	if len(text)%4 != 0 {
		return nil, errUnreadable
	}
	out := make([]byte, 0, len(text)/4*3)
	for ; len(text) > 0; text = text[4:] {
		var quad [3]byte
		n, err := base64.StdEncoding.Strict().Decode(quad[:], text[:4])
		if err != nil {
			return nil, errUnreadable
		}
		out = append(out, quad[:n]...)
	}
	return out, nil
}

// Mentions tells whether a request is refused because it mentions one of ids: in
// what goes upstream of its target, or in its body, one message, where op can name a user.
func Mentions(op *operation.Operation, resolved *operation.Resolved, body []byte, ids []string) bool {
	return targetMentions(resolved, ids) || looksForUsers(op) && mentions(body, ids)
}

// looksForUsers tells whether bodies of op are looked into for our own users.
func looksForUsers(op *operation.Operation) bool { return op.NamesUser || op.Changes }

// targetMentions looks through what goes upstream of the request target.
func targetMentions(resolved *operation.Resolved, ids []string) bool {
	for _, id := range ids {
		for _, v := range resolved.Variables {
			if strings.Contains(v.Value, id) {
				return true
			}
		}
		for _, q := range resolved.QueryPairs {
			if strings.Contains(q.Value, id) || strings.Contains(q.Name, id) {
				return true
			}
		}
	}
	return false
}
