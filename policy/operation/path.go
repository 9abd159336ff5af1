package operation

import "strings"

// Bytes that may stand for themselves in a segment (RFC 3986 section 3.3
// pchar), without ';', which some servers take for the start of a parameter.
const (
	plainLow  = 1<<'!' | 1<<'$' | 1<<'&' | 1<<'\'' | 1<<'(' | 1<<')' | 1<<'*' | 1<<'+' | 1<<',' | 1<<'-' | 1<<'.' | 0x3ff<<'0' | 1<<':' | 1<<'='
	plainHigh = 1<<('@'-64) | 0x3ffffff<<('A'-64) | 1<<('_'-64) | 0x3ffffff<<('a'-64) | 1<<('~'-64)
)

func isPlain(c byte) bool {
	if c < 64 {
		return uint64(plainLow)>>c&1 == 1
	}
	return c < 128 && uint64(plainHigh)>>(c-64)&1 == 1
}

// decodePath returns path with its escapes undone, once. It refuses every form
// that ZITADEL, or anything on the way to it, would clean, split or read in
// another way, so that the segments of both forms correspond one to one.
func decodePath(path string) (string, *Error) {
	if path == "" || path[0] != '/' {
		return "", fail(ReasonNotCanonical, "the request target must be a path that starts with '/'; absolute and authority forms and * are not served")
	}
	segment := 1
	for i := 1; i < len(path); i++ {
		switch c := path[i]; {
		case c == '%':
			return decodeEscaped(path)
		case c == '/':
			if err := checkSegment(path[segment:i]); err != nil {
				return "", err
			}
			segment = i + 1
		case !isPlain(c):
			return "", failByte(c)
		}
	}
	if err := checkSegment(path[segment:]); err != nil {
		return "", err
	}
	return path, nil
}

func decodeEscaped(path string) (string, *Error) {
	decoded := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return "", fail(ReasonNotCanonical, "the path has a % that no two hexadecimal digits follow; write %25 for it")
			}
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			if c < ' ' || c >= 0x7f || c == '/' || c == '\\' || c == ';' || c == '#' {
				return "", failByte(c)
			}
			i += 2
		case c != '/' && !isPlain(c):
			return "", failByte(c)
		}
		decoded = append(decoded, c)
	}
	for segment := range strings.SplitSeq(string(decoded[1:]), "/") {
		if err := checkSegment(segment); err != nil {
			return "", err
		}
	}
	return string(decoded), nil
}

func checkSegment(s string) *Error {
	switch s {
	case "":
		return fail(ReasonNotCanonical, "the path has an empty segment or ends in a slash; ZITADEL would clean it to another path")
	case ".", "..":
		return fail(ReasonNotCanonical, "the path has a dot segment; ZITADEL would clean it to another path")
	}
	return nil
}

func failByte(c byte) *Error {
	switch {
	case c == '/' || c == '\\':
		return fail(ReasonNotCanonical, "the path has a backslash or an escaped slash inside a segment; no identifier of ZITADEL has one")
	case c < ' ' || c >= 0x7f:
		return fail(ReasonNotCanonical, "the path has a control or non-ASCII character; ZITADEL takes such values in gRPC and Connect messages only")
	case c == ';' || c == '#':
		return fail(ReasonNotCanonical, "the path has a ';' or '#'; other servers on the way could end the segment there")
	}
	return fail(ReasonNotCanonical, "the path has a character that must be escaped (RFC 3986 section 3.3)")
}

// appendSegment escapes what cannot stand for itself, and nothing else: the
// same value is always forwarded in the same form.
func appendSegment(b []byte, value string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(value) {
		c := value[i]
		if isPlain(c) || c == '/' { // a slash can only come from a variable that spans segments
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
