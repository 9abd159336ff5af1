package workload

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeys    = 100  // of a set
	minRSABits = 2048 // RFC 7518 section 3.3; those that are too large, go-jose refuses
)

// key is one of a set. With a fault it is never used, and its id is not free for another.
type key struct {
	public     crypto.PublicKey
	algorithms []string // that it is made for
	fault      string
}

// keySet holds keys by their ids (kid). Those without one are left out: a token
// could not select them. A nil set has none. It is never changed.
type keySet struct{ byID map[string]key }

func (s *keySet) find(kid string) (k key, ok bool) {
	if s != nil {
		k, ok = s.byID[kid]
	}
	return k, ok
}

// usable counts the keys that tokens can be verified with.
func (s *keySet) usable() int {
	if s == nil {
		return 0
	}
	n := 0
	for _, k := range s.byID {
		if k.fault == "" {
			n++
		}
	}
	return n
}

// equal tells whether tokens are judged alike by both.
func (s *keySet) equal(t *keySet) bool {
	return s != nil && t != nil && maps.EqualFunc(s.byID, t.byID, func(a, b key) bool {
		same, ok := a.public.(interface{ Equal(crypto.PublicKey) bool })
		return a.fault == b.fault && slices.Equal(a.algorithms, b.algorithms) && (a.fault != "" || ok && same.Equal(b.public))
	})
}

// faults says what is wrong with the others, by their ids.
func (s *keySet) faults() string {
	var all []string
	for kid, k := range s.byID {
		if k.fault != "" {
			all = append(all, fmt.Sprintf("key %.80q: %s", kid, k.fault))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// parseKeys reads a key set (RFC 7517 section 5). A key that cannot be used
// takes none of the others with it; a set of which none can is an error.
func parseKeys(text []byte) (*keySet, error) {
	top, err := members(text)
	if err != nil {
		return nil, fmt.Errorf("the key set %w; is it a JWKS?", err)
	}
	var each []json.RawMessage
	if list := top["keys"]; len(list) == 0 || list[0] != '[' || json.Unmarshal(list, &each) != nil {
		return nil, errors.New("it has no list of keys; is it a JWKS?")
	}
	if len(each) > maxKeys {
		return nil, fmt.Errorf("it has %d keys; %d are the most", len(each), maxKeys)
	}
	set := &keySet{byID: make(map[string]key)}
	for _, text := range each {
		kid, k := parseKey(text)
		if kid == "" {
			continue
		}
		if _, ok := set.byID[kid]; ok {
			k = key{fault: "several keys have this id"}
		}
		set.byID[kid] = k
	}
	if set.usable() == 0 {
		return nil, fmt.Errorf("none of its %d keys can be used: each needs a kid and must be for signatures; %s", len(each), set.faults())
	}
	return set, nil
}

// parseKey reads one key (RFC 7517 section 4); kid is "" if it has none that can
// be read.
func parseKey(text []byte) (kid string, k key) {
	all, err := members(text)
	if err != nil {
		return "", key{fault: "it " + err.Error()}
	}
	if kid, err = all.text("kid"); err != nil {
		return "", key{fault: err.Error()}
	}
	if k.fault = misused(all); k.fault != "" {
		return kid, k
	}
	var read jose.JSONWebKey
	if err := read.UnmarshalJSON(text); err != nil {
		return kid, key{fault: fmt.Sprintf("it cannot be read: %.150s", strings.TrimPrefix(err.Error(), "go-jose/go-jose: "))}
	}
	k.public = read.Key
	if k.algorithms, k.fault = madeFor(read.Key); k.fault != "" {
		return kid, key{fault: k.fault}
	}
	if read.Algorithm == "" {
		return kid, k
	}
	if !slices.Contains(k.algorithms, read.Algorithm) {
		return kid, key{fault: fmt.Sprintf("its alg %.20q is none that is taken of such a key", read.Algorithm)}
	}
	k.algorithms = []string{read.Algorithm}
	return kid, k
}

// misused tells keys that are not for verifying signatures (RFC 7517 sections 4.2 and 4.3).
func misused(all object) string {
	use, err := all.text("use")
	if err != nil {
		return err.Error()
	}
	operations, err := all.list("key_ops")
	switch _, given := all["key_ops"]; {
	case err != nil:
		return err.Error()
	case use != "" && use != "sig":
		return fmt.Sprintf("its use is %.20q and not sig", use)
	case given && !slices.Contains(operations, "verify"):
		return "its key_ops do not have verify"
	}
	return ""
}

// algorithms are all that are taken.
func algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// madeFor are the algorithms of a public key (RFC 7518 section 3.1, RFC 8037
// section 3.1). That a key decides, and not the token, keeps a public key from
// being taken for the secret of an HMAC.
func madeFor(public any) (algorithms []string, fault string) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return nil, fmt.Sprintf("it has %d bits; %d are the least", bits, minRSABits)
		}
		if k.E < 3 || k.E&1 == 0 || k.E > 1<<31-1 {
			return nil, "its exponent is none of RSA"
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, ""
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}, ""
		case 384:
			return []string{"ES384"}, ""
		case 521:
			return []string{"ES512"}, ""
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return []string{"EdDSA"}, ""
		}
	case []byte:
		return nil, "it is a shared secret, and a key set is public"
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return nil, "it is a private key, which is known to everybody now"
	}
	return nil, "it is of a kind that is not taken"
}
