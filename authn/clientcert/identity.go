package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zproxy/zproxy/authn"
)

// The general names that can name a caller (RFC 5280 section 4.2.1.6).
const (
	tagDNS = 2
	tagURI = 6
)

// Thumbprint returns the SHA-256 of a certificate's DER in base64url without
// padding: x5t#S256 of RFC 8705 section 3.1.
func Thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Name returns the caller that a certificate names: its URI SAN, if it is a
// SPIFFE ID, or its DNS SAN, byte for byte, and never the CN. Names of all kinds
// given count together, and there must be exactly one. A certificate with a
// SPIFFE ID must have no other URI, whatever the kinds
// (https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md section 2).
// The error is an [*authn.Error] with [ReasonIdentity]. Name verifies nothing.
func Name(leaf *x509.Certificate, kinds ...authn.Kind) (authn.Caller, error) {
	uris, hosts, err := names(leaf)
	if err != nil {
		return authn.Caller{}, refuse(ReasonIdentity, "reading its names: %s; have it issued anew", err)
	}
	if len(uris) > 1 && slices.ContainsFunc(uris, isSPIFFE) {
		return authn.Caller{}, refuse(ReasonIdentity, "it has %d URI names, one of them a SPIFFE ID; give it that one alone", len(uris))
	}
	var candidates []string
	var kind authn.Kind
	if slices.Contains(kinds, authn.KindSPIFFE) {
		candidates = append(candidates, uris...)
		kind = authn.KindSPIFFE
	}
	if slices.Contains(kinds, authn.KindDNS) {
		for _, host := range hosts {
			candidates = append(candidates, "dns:"+host)
			kind = authn.KindDNS
		}
	}
	switch len(candidates) {
	case 0:
		return authn.Caller{}, refuse(ReasonIdentity, "it has none of the names that this listener takes; give it one %s (a common name does not count)", wanted(kinds))
	case 1:
	default:
		return authn.Caller{}, refuse(ReasonIdentity, "it has %d names that could be the caller's; give it one %s", len(candidates), wanted(kinds))
	}
	caller, err := authn.ParseCaller(candidates[0])
	if kind == authn.KindSPIFFE && !strings.HasPrefix(candidates[0], "spiffe://") { // "unix:crm" is a URI too
		err = fmt.Errorf("its URI name %.80q is no SPIFFE ID, which begins with spiffe://", candidates[0])
	}
	if err != nil {
		return authn.Caller{}, refuse(ReasonIdentity, "%s; give it one %s", err, wanted(kinds))
	}
	return caller, nil
}

// names reads the URI and DNS names from the bytes of the extension: what
// crypto/x509 made of a URI has lost how it was spelt.
func names(leaf *x509.Certificate) (uris, hosts []string, err error) {
	oid := asn1.ObjectIdentifier{2, 5, 29, 17}
	i := slices.IndexFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oid) })
	if i < 0 {
		return nil, nil, nil
	}
	var sequence asn1.RawValue
	if rest, err := asn1.Unmarshal(leaf.Extensions[i].Value, &sequence); err != nil || len(rest) > 0 ||
		sequence.Class != asn1.ClassUniversal || sequence.Tag != asn1.TagSequence || !sequence.IsCompound {
		return nil, nil, errors.New("the subject alternative name is malformed")
	}
	for rest := sequence.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &name); err != nil || name.Class != asn1.ClassContextSpecific {
			return nil, nil, errors.New("the subject alternative name is malformed")
		}
		if (name.Tag == tagDNS || name.Tag == tagURI) && name.IsCompound {
			return nil, nil, errors.New("a name is in pieces")
		}
		switch name.Tag {
		case tagDNS:
			hosts = append(hosts, string(name.Bytes))
		case tagURI:
			uris = append(uris, string(name.Bytes))
		}
	}
	return uris, hosts, nil
}

// isSPIFFE is generous: however it is spelt, it may be taken for one elsewhere.
func isSPIFFE(uri string) bool {
	return len(uri) >= len("spiffe:") && strings.EqualFold(uri[:len("spiffe:")], "spiffe:")
}

func wanted(kinds []authn.Kind) string {
	var names []string
	for _, kind := range kinds {
		switch kind {
		case authn.KindSPIFFE:
			names = append(names, "SPIFFE ID as its only URI name")
		case authn.KindDNS:
			names = append(names, "DNS name in lower case")
		}
	}
	return strings.Join(names, ", or one ")
}
