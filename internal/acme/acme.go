// Package acme obtains and renews a listener's certificate by ACME (RFC 8555),
// with certmagic, from a public or a private certificate authority.
//
// The authority's check is TLS-ALPN-01 (RFC 8737), answered on the listener
// itself: no second port is opened to the network, and a listener that demands
// client certificates can be checked, because the handshake of the check gets a
// configuration of its own. Only the hosts of the configuration ever get a
// certificate: no handshake makes the authority be asked for another.
//
// Certificates and the account's key lie in a directory on disk, so that a
// restart serves what was obtained before, with the authority unreachable too.
package acme

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"github.com/rs/zerolog"
)

// Config says which certificates to keep, and from whom.
type Config struct {
	// Hosts are the names to obtain a certificate for, one certificate each:
	// exact DNS names in lower case, no wildcard and no address. The first is
	// served to callers that send no server name. At least one is needed.
	Hosts []string

	// Directory is the URL of the authority's ACME directory, with https. If
	// empty, it is the production directory of Let's Encrypt, whose terms of
	// service are thereby agreed to; so are those of any other authority.
	Directory string

	// CAFile is a PEM file with the roots that the directory's own server is
	// trusted by, for a private authority. If empty, the system's roots are.
	// It has no say in which certificate the authority issues.
	CAFile string

	// Email is the account's contact. It may be empty.
	Email string

	// Storage is the directory of accounts, certificates and keys. It is made
	// with mode 0700 if it does not exist, and refused if its group or others
	// may write to it. Processes that serve the same hosts may share it, and
	// then share certificates; other programs must not write to it.
	Storage string

	// EABKeyID and EABKeyFile bind the account to one that the authority knows
	// already (RFC 8555 section 7.3.4). The file holds the MAC key in base64url.
	// Both are set or none.
	EABKeyID, EABKeyFile string

	// Log receives what this package and certmagic have to say. No record has
	// a key, a token or a nonce.
	Log zerolog.Logger
}

// Manager keeps the certificates of the hosts of a [Config].
type Manager struct {
	hosts     []*host // in the order of the configuration
	log       zerolog.Logger
	store     *store
	directory string
	key       string // of the authority in the storage
	running   atomic.Bool
	answers   atomic.Pointer[certmagic.Config] // of pending checks, while Run runs

	// Behind functions, since fmt prints what a struct holds, and these know
	// the MAC key.
	template func() certmagic.ACMEIssuer
	secret   func(string) bool
}

// host is one name and its certificate.
type host struct {
	name string
	cert certificatePointer

	mu     sync.Mutex // guards what follows
	err    error      // of the last attempt
	failed int        // attempts in a row
	advice advice
}

// New checks all of c, and loads what the storage holds, so that a
// [Manager.TLSConfig] serves it from the first handshake on. The error joins
// all faults, each with what to do.
func New(c Config) (*Manager, error) {
	files, err := check(c)
	if err != nil {
		return nil, fmt.Errorf("checking acme: %w", err)
	}
	m := &Manager{log: c.Log, store: newStore(c.Storage), directory: c.Directory, secret: contains(files.mac)}
	if m.directory == "" {
		m.directory = certmagic.LetsEncryptProductionCA
	}
	m.template = func() certmagic.ACMEIssuer { return template(c, files, m.directory) }
	m.key = certmagic.NewACMEIssuer(new(certmagic.Config), m.template()).IssuerKey()
	for _, name := range c.Hosts {
		h := &host{name: name}
		m.hosts = append(m.hosts, h)
		if _, err := m.load(h); err != nil {
			h.fail(err)
			m.log.Warn().Err(err).Str("host", name).Msg("a stored certificate cannot be used")
		}
	}
	return m, nil
}

func template(c Config, files checked, directory string) certmagic.ACMEIssuer {
	issuer := certmagic.ACMEIssuer{
		CA:                   directory,
		Email:                c.Email,
		Agreed:               true,
		TrustedRoots:         files.roots,
		DisableHTTPChallenge: true,
		HTTPProxy:            closing,
	}
	if c.EABKeyID != "" {
		issuer.ExternalAccount = &acme.EAB{KeyID: c.EABKeyID, MACKey: files.mac}
	}
	return issuer
}

// closing makes each request to the authority close its connection. certmagic
// offers no way to its HTTP client: idle connections, and the goroutines of
// each, would outlive Run. The choice of a proxy is the only place that sees
// the request before its connection is taken.
func closing(r *http.Request) (*url.URL, error) {
	r.Close = true
	return http.ProxyFromEnvironment(r)
}
