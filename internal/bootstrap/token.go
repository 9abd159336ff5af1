package bootstrap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxToken bounds an administrator's token, in bytes.
const maxToken = 16 << 10

// ReadToken reads the administrator's personal access token or access token
// from a file, or from in if the file is "-", and returns it as header value.
func ReadToken(file string, in io.Reader) ([]string, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the administrator's token: %w", err)
		}
		defer f.Close()
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, maxToken+1))
	if err != nil {
		return nil, fmt.Errorf("reading the administrator's token: %w", err)
	}
	text := strings.TrimSpace(string(content))
	switch {
	case text == "":
		err = errors.New("it is empty")
	case len(text) > maxToken:
		err = errors.New("it is too long for a token")
	case text[0] == '{':
		err = errors.New("it is a JSON file; a personal access token or an access token is needed, not a key")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		err = errors.New("it holds more than the bare token")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the administrator's token: %w; ZITADEL's console makes one under Service Users, Personal Access Tokens", err)
	}
	return []string{"Bearer " + text}, nil
}
