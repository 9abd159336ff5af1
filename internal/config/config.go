// Package config reads, checks and explains zproxy's one YAML file.
package config

import (
	"io/fs"
	"net/netip"
	"net/url"
	"time"
)

// Config is the whole configuration, checked: every reference resolves, every
// default is filled in.
type Config struct {
	Upstream     Upstream
	Listeners    []Listener
	ServiceUsers []ServiceUser
	Unlisted     []string // full RPC names
	Rules        []Rule
	Tests        []Test
	Audit        Audit
	Admin        *Admin // nil: off
	Limits       Limits
	// Hints (key hints: true) adds to a refusal the lines that would allow it.
	Hints bool
	// Confine (key confine, default true) keeps the process to the files named here.
	Confine bool

	file      string
	lines     []string
	positions map[string]position
}

// Upstream is the ZITADEL instance.
type Upstream struct {
	Issuer         *url.URL // scheme and host only
	Address        *url.URL // where to connect; the issuer when not configured
	CAFile         string
	TLS            *UpstreamTLS
	ForwardHeaders []string // canonical or with a trailing '*'
	Limit          *Limit
	Timeouts       Timeouts
	MaxInFlight    int // requests that wait for the upstream at once (key max_in_flight), default 1,000; beyond it 503
}

// UpstreamTLS is what zproxy asks of the upstream's TLS beyond the default, and
// how it proves itself there.
type UpstreamTLS struct {
	MinimumVersion           string // "1.2" or "1.3"; "" is 1.2
	CertificateFile, KeyFile string // both or none
}

// Limit is a token bucket.
type Limit struct {
	Rate  float64 // per second
	Burst int
}

// Listener is one named address that callers connect to.
type Listener struct {
	Name      string
	Network   string // "tcp" or "unix"
	Address   string // "127.0.0.1:8080" or "/run/zproxy/zproxy.sock"
	Mode      fs.FileMode
	AllowFrom []netip.Prefix
	Hosts     []string // further names callers may use in Host
	TLS       *TLS     // nil: plain
	// How callers are told; exactly one is set.
	Anonymous         string // name of the anonymous caller
	Unix              []UnixCaller
	ClientCertificate *ClientCertificate
	BearerJWT         []JWTIssuer
}

// TLS is how a listener proves itself: by files, by ACME, or by SPIFFE.
type TLS struct {
	CertificateFile string
	KeyFile         string
	ACME            *ACME
	SPIFFE          *SPIFFE
}

// SPIFFE gets a listener's certificate, and the trust bundles of callers' trust
// domains, from the SPIFFE Workload API.
type SPIFFE struct {
	WorkloadAPI string // the agent's socket: "unix:///run/spire/agent.sock"
}

// ACME obtains a listener's certificate (RFC 8555).
type ACME struct {
	Hosts     []string
	Directory string // "" is Let's Encrypt's
	CAFile    string
	Email     string
	Storage   string
	// EABKeyID and EABKeyFile bind the account to one at the authority (keys
	// external_account: {key_id, key_file}).
	EABKeyID, EABKeyFile string
}

// ClientCertificate tells callers by their certificates.
type ClientCertificate struct {
	CAFile   string   // "" is the trust bundles of tls.spiffe
	CRLFile  string   // "" is no revocation
	Identity []string // "spiffe", "dns"; "spiffe" alone with trust bundles
}

// UnixCaller names the peer of a unix socket by uid or gid; exactly one is set.
type UnixCaller struct {
	Name string
	UID  *uint32
	GID  *uint32
}

// ServiceUser is one ZITADEL machine identity; exactly one kind is set.
type ServiceUser struct {
	Name                string
	PrivateKeyJWT       *PrivateKeyJWT
	ClientCredentials   *ClientCredentials
	PersonalAccessToken *PersonalAccessToken
	SystemUser          *SystemUser
}

// The kinds of service users. Files are read by authn/serviceuser.
type (
	// PrivateKeyJWT signs with ZITADEL's key file, which zproxy replaces by itself
	// if Rotate is not nil.
	PrivateKeyJWT struct {
		KeyFile string
		Rotate  *Rotation
	}
	// ClientCredentials uses a client secret. UserID is optional (key user_id):
	// the file does not name the user, and operations aimed at it are to be refused.
	// Expires (key expires) is when the secret is to be replaced, for the warning: ZITADEL
	// ends none. The zero time is never.
	ClientCredentials struct {
		ClientID, ClientSecretFile, UserID string
		Expires                            time.Time
	}
	// PersonalAccessToken is sent as it is. UserID and Expires as above; without
	// Expires ZITADEL is asked.
	PersonalAccessToken struct {
		TokenFile, UserID string
		Expires           time.Time
	}
	// SystemUser signs tokens of the System API itself.
	SystemUser struct{ User, KeyFile, Audience string }
)

// Rule is one rule of the policy as the file has it.
type Rule struct {
	Name          string
	Callers       []string
	Operations    []string
	Except        []string
	Hazards       []string
	Organizations []string
	When          string // a condition in CEL; "" is none
	As            string
	Shadow        bool
	// Learn lets Operations be "*": every operation without hazards.
	Learn bool
	// Until is when the rule ends; the zero time is never.
	Until time.Time
	Limit *Limit
}

// Test is a case that the rules must decide as expected (key tests).
type Test struct {
	Name         string
	Caller       string
	Operation    string // the operation; or Method and Target are set
	Method       string
	Target       string
	ContentType  string // "application/json" when the file does not say
	Body         string // JSON; "" is none
	Organization string // x-zitadel-orgid
	Allow        bool
	Rule         string // "" when the file does not say, as are As, Reason and Shadow
	As           string
	Reason       string
	Shadow       string
}

// Audit says where records go: a path, or "-" for stdout.
type Audit struct{ File string }

// Admin is the listener for probes and metrics.
type Admin struct {
	Address string
	Hosts   []string // further names by which it is addressed
	// PProf adds the profiles of the Go runtime, on loopback only.
	PProf bool
}

// Limits bound what one request may cost (key limits, all optional).
type Limits struct {
	HeaderBytes int           // request header, default 64 KiB; beyond it 431
	BodyBytes   int64         // request body, default 32 MiB, 0 in no case; beyond it 413
	InspectBody int64         // body that is read before it is forwarded because it may name a user, default 4 MiB; beyond it 413
	InspectAll  int64         // what such bodies may hold together (key inspect_total_bytes), default 32 MiB; beyond it 503
	Connections int           // open connections of each listener, default 10,000; beyond it closed at once
	PerAddress  int           // of them from one address, or one user of a unix socket (key connections_per_address), default 1,000
	PerCaller   int           // of them of one caller with a certificate, whatever the address (key connections_per_caller), default 1,000
	Stall       time.Duration // how long a caller may take nothing of an answer, or send nothing of a body, before it is cut off, default 1m
	Drain       time.Duration // at the end: how long requests in flight may take, default 30s
	DrainDelay  time.Duration // before that: how long connections are still accepted while /readyz says no, default 0
}
