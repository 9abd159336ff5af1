package bootstrap

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/zproxy/zproxy/internal/keys"
)

// SystemUser is an entry of ZITADEL's own configuration, which no call makes.
type SystemUser struct{ Name, User, KeyFile string }

// Tell makes the key pair of a System API user if its key file is not there,
// and says what to write into ZITADEL's configuration. A dry run makes none.
func (s SystemUser) Tell(out io.Writer, dryRun bool) error {
	public, made, err := s.public(dryRun)
	if err != nil {
		return fmt.Errorf("service user %s: %w", s.Name, err)
	}
	if made {
		fmt.Fprintf(out, "wrote       key file %s, mode 0600\n", s.KeyFile)
	}
	_, err = fmt.Fprintf(out, `note        %s is a System API user, which no call can create: write this into
            ZITADEL's runtime configuration (self-hosted only) and restart it
SystemAPIUsers:
  - %s:
      KeyData: %s
`, s.Name, s.User, base64.StdEncoding.EncodeToString(public))
	return err
}

func (s SystemUser) public(dryRun bool) (text []byte, made bool, err error) {
	content, err := os.ReadFile(s.KeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && dryRun:
		return []byte("<public half of a pair made here>"), false, nil
	case errors.Is(err, fs.ErrNotExist):
		pair, err := keys.Generate()
		if err != nil {
			return nil, false, err
		}
		if err := pair.Save(s.KeyFile); err != nil {
			return nil, false, err
		}
		text, err := pair.PublicPEM()
		return text, true, err
	case err != nil:
		return nil, false, fmt.Errorf("reading key file: %w", err)
	}
	text, err = publicOf(content)
	if err != nil {
		return nil, false, fmt.Errorf("reading key file %q: %w", s.KeyFile, err)
	}
	return text, false, nil
}

// publicOf is the public half of a private key in PEM. Its errors repeat nothing of it.
func publicOf(content []byte) ([]byte, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("it is no PEM")
	}
	var private *rsa.PrivateKey
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		private = key
	} else if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		private, _ = key.(*rsa.PrivateKey)
	}
	if private == nil {
		return nil, errors.New("it is no RSA private key")
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
