package config

import (
	"bytes"
	"unicode/utf8"
)

// notUTF8 is the place of the first byte that is not UTF-8, if there is one.
func notUTF8(data []byte) (line, column int, found bool) {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			start := bytes.LastIndexByte(data[:i], '\n') + 1
			return bytes.Count(data[:i], []byte("\n")) + 1, utf8.RuneCount(data[start:i]) + 1, true
		}
		i += size
	}
	return 0, 0, false
}
