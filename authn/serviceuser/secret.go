package serviceuser

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const hiddenSecret = "[redacted]"

// secret holds a string that must not be printed. The string sits behind a
// function because fmt does not call methods on unexported fields: a struct
// that holds a plain string type would print it whatever its methods say,
// while a function prints as an address.
type secret struct{ reveal func() string }

func newSecret(s string) secret { return secret{reveal: func() string { return s }} }

// in reports whether text contains the secret, so that a server's text that
// echoes it is never repeated.
func (s secret) in(text string) bool {
	if s.reveal == nil {
		return false
	}
	v := s.reveal()
	return v != "" && strings.Contains(text, v)
}

func (s secret) String() string               { return hiddenSecret }
func (s secret) GoString() string             { return hiddenSecret }
func (s secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, hiddenSecret) }
func (s secret) MarshalText() ([]byte, error) { return []byte(hiddenSecret), nil }
func (s secret) LogValue() slog.Value         { return slog.StringValue(hiddenSecret) }
