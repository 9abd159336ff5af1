package acme

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/mail"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/caddyserver/certmagic"
)

// checked is what the files of a configuration hold.
type checked struct {
	roots *x509.CertPool // nil: the system's
	mac   string         // base64url without padding
}

// check finds all faults of c at once.
func check(c Config) (checked, error) {
	var out checked
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	note(checkHosts(c))
	note(checkDirectory(c.Directory))
	note(checkEmail(c.Email))
	var err error
	out.roots, err = readRoots(c.CAFile)
	note(err)
	out.mac, err = readMAC(c.EABKeyID, c.EABKeyFile)
	note(err)
	note(checkStorage(c.Storage))
	return out, errors.Join(errs...)
}

func checkHosts(c Config) error {
	if len(c.Hosts) == 0 {
		return errors.New("hosts is empty: name at least one host that callers use")
	}
	var errs []error
	seen := make(map[string]bool)
	for _, name := range c.Hosts {
		switch err := checkHost(name); {
		case err != nil:
			errs = append(errs, err)
		case seen[name]:
			errs = append(errs, fmt.Errorf("host %s is named twice: name it once", name))
		case public(c.Directory) && !certmagic.SubjectQualifiesForPublicCert(name):
			errs = append(errs, fmt.Errorf("host %s cannot have a certificate of a public authority: "+
				"use a name below a public domain, or the directory of a private authority", name))
		}
		seen[name] = true
	}
	return errors.Join(errs...)
}

func public(directory string) bool {
	return directory == "" || directory == certmagic.LetsEncryptProductionCA || directory == certmagic.LetsEncryptStagingCA
}

// checkHost admits host names of RFC 1123 section 2.1 in the form in which
// they stand in certificates (RFC 5280 section 4.2.1.6).
func checkHost(name string) error {
	if strings.HasPrefix(name, "*.") {
		return fmt.Errorf("host %q is a wildcard: name each host", name)
	}
	if len(name) == 0 || len(name) > 253 {
		return fmt.Errorf("host %q has %d bytes: a DNS name has 1 to 253", name, len(name))
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return fmt.Errorf("host %q is no DNS name: write it with lower-case letters, digits and hyphens between dots, "+
				"international names in their xn-- form, without a final dot or a port", name)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return fmt.Errorf("host %q is an address: name a host", name)
	}
	return nil
}

func isLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// checkDirectory demands https: an authority reached without it could be
// anyone, and would be given proofs of control over the hosts.
func checkDirectory(directory string) error {
	if directory == "" {
		return nil
	}
	u, err := url.Parse(directory)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("directory %q is not the URL of an ACME directory: write it as https://host/path", directory)
	}
	return nil
}

func checkEmail(email string) error {
	if email == "" {
		return nil
	}
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email {
		return fmt.Errorf("email %q is no address: write it as name@domain", email)
	}
	return nil
}

func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading ca_file: %w; give the PEM file with the authority's root", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading ca_file: %s has no certificate; give the PEM file with the authority's root", path)
	}
	return pool, nil
}

// readMAC reads the MAC key as authorities hand it out: base64url, padded or not.
func readMAC(id, path string) (string, error) {
	if (id == "") != (path == "") {
		return "", errors.New("external account binding needs both its key id and its key file: set both or none")
	}
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the external account key: %w", err)
	}
	mac := strings.TrimRight(strings.TrimSpace(string(text)), "=")
	if key, err := base64.RawURLEncoding.DecodeString(mac); err != nil || len(key) == 0 {
		return "", fmt.Errorf("reading the external account key: %s is not base64url; store the MAC key as the authority gave it", path)
	}
	return mac, nil
}

// checkStorage makes the directory if need be, and refuses one in which another
// user could replace a key.
func checkStorage(path string) error {
	if path == "" {
		return errors.New("storage is empty: name a directory for certificates and keys")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(path, 0o700); err == nil {
			info, err = os.Stat(path)
		}
	}
	if err != nil {
		return fmt.Errorf("opening storage: %w; name a directory that zproxy may write to", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("opening storage: %s is no directory", path)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("opening storage: %s belongs to the user %d, who could replace the keys; chown it to the user that zproxy runs as", path, s.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("opening storage: %s may be written to by its group or by others (mode %04o); chmod 0700 it", path, info.Mode().Perm())
	}
	return probe(path)
}

// probe writes a file: after an order the authority counts, it would be late to
// learn that the certificate cannot be kept.
func probe(path string) error {
	f, err := os.CreateTemp(path, ".probe")
	if err != nil {
		return fmt.Errorf("opening storage: %w; let the user that zproxy runs as write to it", err)
	}
	_ = f.Close()
	return os.Remove(f.Name())
}
