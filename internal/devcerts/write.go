package devcerts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Write puts the files into dir, which is made with mode 0700 if it is not
// there; keys get mode 0600. If any of them is there already, nothing is written.
func (b *Bundle) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing certificates: %w", err)
	}
	var there []string
	for _, f := range b.Files {
		if _, err := os.Lstat(filepath.Join(dir, f.Name)); !errors.Is(err, fs.ErrNotExist) {
			there = append(there, f.Name)
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("writing certificates: %s has %s already; name another directory, or remove them", dir, strings.Join(there, ", "))
	}
	for _, f := range b.Files {
		mode := fs.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		if err := write(filepath.Join(dir, f.Name), f.Content, mode); err != nil {
			return fmt.Errorf("writing certificates: %w", err)
		}
	}
	return nil
}

func write(name string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
