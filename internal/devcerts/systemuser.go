package devcerts

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

const systemKeyBits = 2048

// addSystemUser makes the key pair of a user of the System API, which ZITADEL
// reads from SystemAPIUsers. It takes RSA only, and names in lower case.
func (b *Bundle) addSystemUser(name string) error {
	valid := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == "" && name != ""
	taken := slices.ContainsFunc(b.Files, func(f File) bool { return f.Name == name+".pem" })
	if !valid || taken {
		return fmt.Errorf("making a system user's key: %q is no name for one; use lower case letters, digits and dashes, each name once", name)
	}
	key, err := rsa.GenerateKey(rand.Reader, systemKeyBits)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	b.Files = append(b.Files, File{name + ".pem", encode("PRIVATE KEY", private), true}, File{name + ".pub", encode("PUBLIC KEY", public), false})
	return nil
}
