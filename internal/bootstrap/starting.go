package bootstrap

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Starting is a configuration to begin with: everybody on this machine may
// perform some operations as one service user.
type Starting struct {
	Issuer, Address, CAFile string
	Name, KeyFile           string
	Operations              []string // full names and wildcards
}

// Text is the file.
func (s Starting) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Written by zproxy bootstrap to begin with; configs/ of zproxy has more.
version: 1
upstream:
  issuer: %q
`, s.Issuer)
	for _, line := range [...][2]string{{"address", s.Address}, {"ca_file", s.CAFile}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "  %s: %q\n", line[0], line[1])
		}
	}
	fmt.Fprintf(&b, `listeners:
  - name: local
    address: 127.0.0.1:8080
    callers:
      anonymous: local                       # whoever reaches this listener is anonymous:local
service_users:
  - name: %s
    private_key_jwt:
      key_file: %q
      rotate: {}                             # zproxy replaces the key by itself, every 30 days
rules:                                       # nothing else is allowed
  - name: local
    callers: ["anonymous:local"]
    operations:
`, s.Name, s.KeyFile)
	for _, op := range s.Operations {
		fmt.Fprintf(&b, "      - %s\n", strings.TrimSpace(op))
	}
	fmt.Fprintf(&b, "    as: %s\naudit:\n  file: \"-\"                                  # standard output\n", s.Name)
	return b.Bytes()
}

// Write makes the file, which must not be there yet.
func (s Starting) Write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing configuration: %s is there already", path)
	}
	if err != nil {
		return fmt.Errorf("writing configuration: %w", err)
	}
	_, err = f.Write(s.Text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing configuration: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}
