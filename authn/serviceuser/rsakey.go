package serviceuser

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ZITADEL takes RSA keys only, and a key under 2048 bits is no protection. The
// upper bound keeps a mistaken file from costing seconds per signature.
const (
	minKeyBits = 2048
	maxKeyBits = 8192
)

// parseRSAKey reads one RSA private key in PEM, PKCS#1 or PKCS#8. Its errors
// never repeat any of the text.
func parseRSAKey(text string) (*rsa.PrivateKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it holds no PEM block; expected -----BEGIN RSA PRIVATE KEY----- or -----BEGIN PRIVATE KEY-----")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("something follows the private key; keep only the key")
	}
	key, err := decodeRSABlock(block)
	if err != nil {
		return nil, err
	}
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return nil, fmt.Errorf("the RSA key has %d bits; use %d to %d", bits, minKeyBits, maxKeyBits)
	}
	return key, nil
}

func decodeRSABlock(block *pem.Block) (*rsa.PrivateKey, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, errors.New("the private key is encrypted; store it decrypted and protect the file instead")
		}
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("the PKCS#1 private key is damaged")
		}
		return key, nil
	case "PRIVATE KEY":
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("the PKCS#8 private key is damaged")
		}
		key, ok := parsed.(*rsa.PrivateKey)
		if !ok {
			return nil, errors.New("the private key is not RSA; ZITADEL verifies assertions of RSA keys only")
		}
		return key, nil
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the private key is encrypted; store it decrypted and protect the file instead")
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, errors.New("it is a public key; the private key is needed")
	case "CERTIFICATE":
		return nil, errors.New("it is a certificate; the private key is needed")
	}
	return nil, errors.New("the PEM block is no RSA private key; expected RSA PRIVATE KEY or PRIVATE KEY")
}
