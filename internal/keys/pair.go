package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"
)

// bits is the size of keys that are made here: ZITADEL's own. It takes RSA only.
const bits = 2048

// Pair is an RSA key pair that was made here. Its private half leaves this
// machine in no call and shows in no text.
type Pair struct{ private *rsa.PrivateKey }

// Generate makes a pair.
func Generate() (Pair, error) {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key pair: %w", err)
	}
	return Pair{private}, nil
}

// parsePair reads what privatePEM wrote.
func parsePair(text string) (Pair, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return Pair{}, errors.New("its key is no PEM")
	}
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return Pair{}, errors.New("its key is damaged") // the error of the library may show bytes of it
	}
	return Pair{private}, nil
}

// PublicPEM is the public half as ZITADEL takes it: PKIX in PEM.
func (p Pair) PublicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(&p.private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// PrivatePEM is the private half in PKCS#1, as key files have it.
func (p Pair) PrivatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(p.private)}))
}

// File is the key file that ZITADEL would have handed out.
func (p Pair) File(userID, keyID string, expiry time.Time) ([]byte, error) {
	text, err := json.Marshal(struct {
		Type    string    `json:"type"`
		KeyID   string    `json:"keyId"`
		Key     string    `json:"key"`
		Expires time.Time `json:"expirationDate"`
		UserID  string    `json:"userId"`
	}{"serviceaccount", keyID, p.PrivatePEM(), expiry.UTC(), userID})
	if err != nil {
		return nil, fmt.Errorf("encoding a key file: %w", err)
	}
	return append(text, '\n'), nil
}

// Format hides the key from every verb.
func (p Pair) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key pair]") }

// MarshalText hides the key from encoders.
func (p Pair) MarshalText() ([]byte, error) { return []byte("[key pair]"), nil }

// Save writes the private half into a file of its own, mode 0600, as System API
// users have it.
func (p Pair) Save(path string) error { return write(path, []byte(p.PrivatePEM())) }
