package devcerts

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
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

// Keep leaves the files that dir has if they are all there and good for another
// day, and writes all of them otherwise. It tells whether it wrote.
func (b *Bundle) Keep(dir string, now time.Time) (bool, error) {
	if b.all(dir) && lasts(filepath.Join(dir, ServerFile), now.Add(24*time.Hour)) {
		return false, nil
	}
	for _, f := range b.Files {
		if err := os.Remove(filepath.Join(dir, f.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("replacing certificates: %w", err)
		}
	}
	return true, b.Write(dir)
}

func (b *Bundle) all(dir string) bool {
	for _, f := range b.Files {
		if info, err := os.Lstat(filepath.Join(dir, f.Name)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// lasts tells whether the certificate in file is good at a time.
func lasts(file string, at time.Time) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	return err == nil && at.Before(certificate.NotAfter)
}

func write(name string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
