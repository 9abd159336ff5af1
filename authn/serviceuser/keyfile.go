package serviceuser

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// KeyFile is ZITADEL's key file of a service user, read and checked.
type KeyFile struct {
	// KeyID is the key's id in ZITADEL, the assertion's kid.
	KeyID string
	// UserID is the service user's id.
	UserID string
	// Expiry is when ZITADEL stops taking the key; zero when the file does not
	// say.
	Expiry time.Time

	key *rsa.PrivateKey
}

// Format prints the ids and never the key.
func (k KeyFile) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "[key %s of service user %s]", k.KeyID, k.UserID)
}

// MarshalText is the text that Format prints.
func (k KeyFile) MarshalText() ([]byte, error) { return fmt.Append(nil, k), nil }

// ParseKeyFile reads the JSON that ZITADEL hands out when a key is created:
//
//	{"type":"serviceaccount","keyId":"…","key":"-----BEGIN RSA PRIVATE KEY-----…","userId":"…","expirationDate":"2030-01-01T00:00:00Z"}
//
// The expiration date is optional, other members are ignored, and a member that
// stands twice is refused, because two readers could disagree on which counts.
// The key is RSA, PKCS#1 or PKCS#8 in PEM. Keys of applications are refused:
// they authenticate an application, not a service user. The errors never repeat
// any of the key.
func ParseKeyFile(data []byte) (*KeyFile, error) {
	members, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	kind, err := textMember(members, "type")
	if err != nil {
		return nil, err
	}
	switch kind {
	case "serviceaccount":
	case "application":
		return nil, errors.New(`it is the key of an application (type "application"), which cannot act on ZITADEL's APIs; create a key for a service user`)
	default:
		return nil, errors.New(`its type is neither "serviceaccount" nor known; download the key of a service user as JSON`)
	}
	k := &KeyFile{}
	if k.KeyID, err = idMember(members, "keyId"); err != nil {
		return nil, err
	}
	if k.UserID, err = idMember(members, "userId"); err != nil {
		return nil, err
	}
	if _, ok := members["expirationDate"]; ok {
		text, err := textMember(members, "expirationDate")
		if err != nil {
			return nil, err
		}
		if k.Expiry, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, errors.New("its expirationDate is no RFC 3339 time such as 2030-01-01T00:00:00Z")
		}
	}
	text, err := textMember(members, "key")
	if err != nil {
		return nil, err
	}
	if k.key, err = parseRSAKey(text); err != nil {
		return nil, fmt.Errorf("reading its key: %w", err)
	}
	return k, nil
}

// decodeObject reads one JSON object, member names exact. encoding/json alone
// would take "KEYID" for keyId and the last of two equal names.
func decodeObject(data []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no JSON object; expected the key file that ZITADEL hands out")
	}
	members := make(map[string]json.RawMessage)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, errors.New("its JSON is damaged")
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("its JSON is damaged")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("its JSON is damaged")
		}
		if _, twice := members[name]; twice {
			return nil, errors.New("a member of its JSON stands twice")
		}
		members[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("its JSON is cut off")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows its JSON object")
	}
	return members, nil
}

func textMember(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", fmt.Errorf("it has no %q", name)
	}
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return "", fmt.Errorf("its %q is no string", name)
	}
	if *text == "" {
		return "", fmt.Errorf("its %q is empty", name)
	}
	return *text, nil
}

func idMember(members map[string]json.RawMessage, name string) (string, error) {
	id, err := textMember(members, name)
	if err != nil {
		return "", err
	}
	if !isID(id) {
		return "", fmt.Errorf("its %q is no id: at most %d visible ASCII characters", name, maxID)
	}
	return id, nil
}

const maxID = 200

// isID reports whether s can be an id in ZITADEL. Ids stand in logs and JWT
// headers, so nothing invisible is let through.
func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
